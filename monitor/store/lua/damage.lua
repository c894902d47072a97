-- Groups that whoever leased them can make nothing of: they hold up themselves, and never their channel.

-- It comes back then, and if that is later, not before: it is not what a channel that fails is tried with.
-- ARGV  now, group, token, due time
local function put_off(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  local now = clock(args[1])
  if tonumber(args[4]) > now then
    redis.call('ZREM', keys[14], args[2])
  end
  untried(keys, args[2], now)
  plan(keys, args[2], args[4], false, now)
  return 1
end

-- Give up what has been unreadable for long. News are counted like those beyond the most that are kept; what a message
-- was to tell is told by another.
-- ARGV  now, group, token, whether the frozen message goes ('' or not), how many fingerprints, these, then keys of news
local function discard(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  if args[4] ~= '' then
    unfreeze(keys, {})
    redis.call('HDEL', keys[1], 'telling', 'failed')
  end
  local news = 6 + tonumber(args[5])
  for i = 6, news - 1 do
    redis.call('HDEL', keys[5], args[i])
  end
  for i = news, #args do
    if redis.call('LREM', keys[2], 1, args[i]) + redis.call('LREM', keys[4], 1, args[i]) > 0 then
      redis.call('HDEL', keys[3], args[i])
      redis.call('HINCRBY', keys[1], 'dropped', 1)
    end
  end
  weigh(keys)
  touch(keys, clock(args[1]))
  return 1
end

redis.register_function('bm_put_off', put_off)
redis.register_function('bm_discard', discard)
