-- The house's balance, judged with hysteresis for all processes. Amounts are texts of one width, which compare as their
-- numbers do.

-- KEYS  guard
-- ARGV  now, account and asset, what it has, when the reading of that began, close below, open from
-- Returns '1' while it is too low, else '0'.
local function bankroll(keys, args)
  local now, as_of = clock(args[1]), tonumber(args[4])
  local stored = redis.call('HMGET', keys[1], 'house', 'low', 'at')
  local known = stored[1] == args[2]
  local low, at = known and stored[2] == '1', known and tonumber(stored[3] or '0') or 0
  -- Another process has judged a newer reading; one of a time to come was judged before the clock was set back.
  if as_of < at and at <= now then
    return low and '1' or '0'
  end
  if args[3] < args[5] then
    low = true
  elseif args[3] >= args[6] then
    low = false
  end
  local judged = low and '1' or '0'
  if not known or as_of ~= at or judged ~= stored[2] then
    redis.call('HSET', keys[1], 'house', args[2], 'low', judged, 'at', args[4])
  end
  return judged
end

redis.register_function('bm_bankroll', bankroll)
