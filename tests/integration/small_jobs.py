"""The small topologies that tests of a cluster run: numbers as they come, or counted by key."""

DISCARD = 'type = "discard"'


def file_sink(path, file_format):
    return f'type = "file"\npath = "{path}"\nformat = "{file_format}"'


def source(rate, count, fields):
    limit = "" if count is None else f"count  = {count}\n"
    return f'[sources.numbers]\ntype   = "generate"\n{limit}fields = {{ {fields} }}\nrate_limit = {rate}\n'


def numbers(name="numbers", parallelism=2, rate=1000, count=None, sink=DISCARD, more=""):
    """Without an exchange, so that a subtask may be through while another stands still; endless without `count`."""
    return (f'name = "{name}"\nparallelism = {parallelism}\n\n' + source(rate, count, 'id = "seq()"')
            + f'\n[sinks.out]\ninput = "numbers"\n{sink}\n{more}')


def counts(name="counts", parallelism=2, rate=2000, count=None, sink=DISCARD, aggregate='n = "count()"', more=""):
    """Ten records of a key are a row; with an exchange by key between every two subtasks. Endless without `count`."""
    return (f'name = "{name}"\nparallelism = {parallelism}\n\n' + source(rate, count, 'id = "seq()", k = "seq() % 100"')
            + f"""
[operators.per_key]
type      = "window"
input     = "numbers"
key_by    = ["k"]
window    = {{ count = 10 }}
aggregate = {{ {aggregate} }}

[sinks.out]
input = "per_key"
{sink}
{more}""")
