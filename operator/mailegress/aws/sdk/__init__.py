"""boto3: clients, credentials, replies. The only importer of the AWS SDK."""
