"""``kubectl mailegress``: what a person reads of MailEgresses and asks of the operator, with their own rights."""
