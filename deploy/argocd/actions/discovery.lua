local actions = {}
local suspended = obj.spec.suspend == true
local deleting = obj.metadata.deletionTimestamp ~= nil

-- A suspended object is still looked at, so a new look can be asked for.
actions["reconcile"] = { ["disabled"] = deleting }
-- Deletion overrides suspend: there is nothing to hold back or to resume.
actions["suspend"] = { ["disabled"] = suspended or deleting }
actions["resume"] = { ["disabled"] = not suspended or deleting }

return actions
