"""For those who make a zoo: leaderboard, benchmarks, cards, publishing. It is not installed."""
