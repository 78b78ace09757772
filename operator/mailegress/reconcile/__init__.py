"""Observe, plan, act and summarise one MailEgress; the ports it needs. Pure but for the pass itself."""
