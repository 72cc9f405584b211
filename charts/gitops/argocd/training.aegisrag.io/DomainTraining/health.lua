-- Healthy: the prompt of this spec is served. Degraded: a person has to act, the message says how.
-- Suspended: spec.suspend is true and there is no such prompt yet. Progressing: everything else.
local function health(status, condition)
  local message = condition.reason
  if condition.message ~= nil and condition.message ~= "" then
    message = message .. ": " .. condition.message
  end
  return {status = status, message = message}
end

if obj.metadata.deletionTimestamp ~= nil then
  return {status = "Progressing", message = "Pending deletion"}
end

local status = obj.status or {}
if status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  -- What was said is about an earlier spec, or nothing was said yet.
  return {status = "Progressing", message = "Waiting for the operator"}
end

local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end
local reconciling, stalled, ready = found.Reconciling, found.Stalled, found.Ready

if reconciling ~= nil and reconciling.status == "True" then
  return health("Progressing", reconciling)
end
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", stalled)
end
if ready == nil then
  return {status = "Progressing", message = "Waiting for the operator"}
end
if ready.status == "True" then
  return health("Healthy", ready)
end
if ready.reason == "Suspended" then
  return health("Suspended", ready)
end
return health("Progressing", ready)
