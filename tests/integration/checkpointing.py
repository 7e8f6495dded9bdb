"""What tests of checkpoints share: a job with windows and two file sinks, and a look at what these have made visible."""

from dfnode import files_below

JOB = """name = "totals"

[sources.numbers]
type       = "generate"
count      = 300000
interval   = "1ms"
fields     = {{ n = "seq()", k = "seq() % 2003", at = "time()" }}
event_time = {{ field = "at" }}
{rate}

[operators.small]
type  = "filter"
input = "numbers"
where = "n % 50 = 0"

[operators.totals]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = {{ tumbling = "10s" }}
aggregate = {{ records = "count()", sum = "sum(n)", largest = "max(n)" }}

[sinks.rows]
type  = "file"
input = "small"
path  = "{folder}/rows"

[sinks.totals_out]
type  = "file"
input = "totals"
path  = "{folder}/totals"
{checkpoint}
"""


def lines_in(folder):
    """The visible rows, sorted, and the names of hidden parts."""
    rows, hidden = [], []
    for path in files_below(folder):
        if path.name.startswith(".part."):
            hidden.append(path.name)
        elif path.name.startswith("part-"):
            rows += path.read_text().splitlines()
    return sorted(rows), hidden


def committed(folder):
    """Whether rows are visible."""
    return any(path.stat().st_size for path in files_below(folder, "part-*"))
