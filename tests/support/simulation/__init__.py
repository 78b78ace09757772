"""The whole operator in virtual time, and the promises that are checked after every event."""
