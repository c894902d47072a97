-- Alerts that keep others quiet, over all accounts.

-- KEYS  sources
-- ARGV  fingerprint, version, index, the source
-- Returns 1, or 0 when a row as new as this one has had its effect.
local function source(keys, args)
  local stored = redis.call('HGET', keys[1], args[1])
  if stored then
    local version, index = string.match(stored, '^(%d+)%-(%d+) ')
    if version and not later(tonumber(args[2]), tonumber(args[3]), tonumber(version), tonumber(index)) then
      return 0
    end
  end
  redis.call('HSET', keys[1], args[1], args[2] .. '-' .. args[3] .. ' ' .. args[4])
  return 1
end

-- End or forget a source, if it is as it was read.
-- KEYS  sources
-- ARGV  fingerprint, its row as read, what it is from now on ('' to forget it)
local function end_source(keys, args)
  local stored = redis.call('HGET', keys[1], args[1])
  if not stored or string.match(stored, '^%S*') ~= args[2] then
    return 0
  end
  if args[3] == '' then
    redis.call('HDEL', keys[1], args[1])
  else
    redis.call('HSET', keys[1], args[1], args[2] .. ' ' .. args[3])
  end
  return 1
end

redis.register_function('bm_source', source)
redis.register_function('bm_end_source', end_source)
