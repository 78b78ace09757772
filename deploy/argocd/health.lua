-- MailEgress follows kstatus: observedGeneration, Ready (always there), Reconciling and Stalled (only while True).
-- Written for the libraries that argocd-cm gives a script: base, table, package, and os by require; no string.
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the operator to look at this generation" }
end

local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end

local function is_true(kind)
  return found[kind] ~= nil and found[kind].status == "True"
end

local function verdict(health, kind, note)
  local condition = found[kind]
  if condition == nil then
    return { status = health, message = "Waiting for the operator" }
  end
  local message = condition.reason .. ": " .. condition.message
  if note ~= nil then
    message = message .. " " .. note
  end
  return { status = health, message = message }
end

local suspended = obj.spec.suspend == true

-- Stalled is the operator's word for "a human is needed". Everything short of it is Progressing and not Degraded,
-- which would end a sync operation that only has to wait.
if is_true("Stalled") then
  return verdict("Degraded", "Stalled")
end
if is_true("Reconciling") then
  return verdict("Progressing", "Reconciling")
end
-- Suspended, and all is right: Healthy, or every later sync wave would wait until it is resumed.
if is_true("Ready") then
  return verdict("Healthy", "Ready", suspended and "(spec.suspend is true: nothing is written)" or nil)
end
if suspended then
  return verdict("Suspended", "Ready")
end
return verdict("Progressing", "Ready")
