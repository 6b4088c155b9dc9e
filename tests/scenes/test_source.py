from source_counts import check_counts

from m3amba_zoo.registry import SOURCES


def test_a_source_that_does_not_say_is_loaded_and_counted():
    source = SOURCES.build({"type": "tiny", "bands": 5, "scenes": 2})
    assert (source.channels(), source.num_classes()) == ({"hsi": 5, "sar": 2}, 3)
    check_counts(source, source.load())
