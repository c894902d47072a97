-- What is suppressed in a group. The keys are those of group.lua.

-- What is suppressed in a leased group, '' for nothing: whoever tells it next must know what it held back.
-- ARGV  group, token, what
local function hush(keys, args)
  if score(keys[9], args[1]) ~= tonumber(args[2]) then
    return 0
  end
  if args[3] == '' then
    redis.call('HDEL', keys[11], args[1])
  else
    redis.call('HSET', keys[11], args[1], args[3])
  end
  return 1
end

-- Look at a group again in which something was suppressed. The ladder of one that fails is not hurried.
-- ARGV  now, group
local function rouse(keys, args)
  if redis.call('EXISTS', keys[1]) == 0 then
    redis.call('HDEL', keys[11], args[2])
    return ''
  end
  local now = clock(args[1])
  -- Whoever is looking at it by what held before must not put it off for that.
  touch(keys, now)
  local planned = score(keys[8], args[2])
  if score(keys[9], args[2]) or redis.call('HEXISTS', keys[1], 'digest') == 1 then
    redis.call('HSET', keys[1], 'roused', '1')
  elseif planned and planned > now and redis.call('HEXISTS', keys[1], 'failing') == 0 then
    schedule(keys, args[2], now)
    planned = now
  end
  return earliest(planned, nil)
end

redis.register_function('bm_hush', hush)
redis.register_function('bm_rouse', rouse)
