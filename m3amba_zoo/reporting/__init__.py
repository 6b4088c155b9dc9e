"""Pages to look at: one self-contained ``report.html`` per run, and runs side by side.

A page holds all that it shows: Plotly's script, pictures, numbers. It asks no server and needs none.
"""

from m3amba_zoo.reporting.run_report import REPORT_FILE, is_wanted, write_report, write_results

__all__ = ["REPORT_FILE", "is_wanted", "write_report", "write_results"]
