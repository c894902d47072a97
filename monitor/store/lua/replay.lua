-- Dead letters that are sent again. The keys are those of group.lua.

-- A dead letter goes out again as it was, in a group of its own which is told nothing else. Whoever asks for that may
-- have mended the channel.
-- KEYS  also dead, letters, the message's log
-- ARGV  now, group, id, message, labels, the group it died in
-- Returns 0 when it is no dead letter: it never was, or goes out again already.
local function replay(keys, args)
  local now = clock(args[1])
  if redis.call('HDEL', keys[OWN + 2], args[3]) == 0 then
    return 0
  end
  redis.call('ZREM', keys[OWN + 1], args[3])
  redis.call('HSET', keys[1], 'telling', args[4], 'labels', args[5], 'interval', '0', 'repeat', '0', 'replays', args[6])
  touch(keys, now)
  redis.call('ZREM', keys[10], args[2])
  redis.call('SADD', keys[17], args[2])
  schedule(keys, args[2], now)
  mended(keys[16], keys[8], keys[12], keys[13], keys[14], now)
  if redis.call('HEXISTS', keys[OWN + 3], 'head') == 1 then
    redis.call('HSET', keys[OWN + 3], 'state', 'queued')
  end
  return 1
end

redis.register_function('bm_replay', replay)
