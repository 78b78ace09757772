"""The services on one HTTP port, in AWS's own protocols as botocore describes them."""
