"""EC2 and Route 53: shared reads, conditional writes, rate limits. The only importer of boto3."""
