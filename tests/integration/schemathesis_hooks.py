"""What schemathesis must be told: NDJSON and tar go out as they are, integers fit into 64 bits."""
import schemathesis

schemathesis.serializer.alias("application/x-ndjson", "text/plain")
schemathesis.serializer.alias("application/x-tar", "application/octet-stream")


def fits(value):
    if isinstance(value, dict):
        return all(fits(v) for v in value.values())
    if isinstance(value, list):
        return all(fits(v) for v in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@schemathesis.hook
def filter_body(context, body):
    """The contract's text says that a larger integer is refused; a schema of free JSON cannot."""
    return fits(body)
