-- The operator reads everything again and then writes this value to status.lastHandledReconcileAt.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["mailegress.io/reconcile-requested-at"] = os.date("!%Y-%m-%dT%XZ")
return obj
