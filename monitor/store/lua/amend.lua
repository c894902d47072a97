-- What changes in a record between two polls, without reading the account.

-- KEYS  seq, record, last, outbox, outdue, open, then stories
-- ARGV  now, account, version read, d, '1' if it has alerts, sweep delay, number of rows, rows,
--       then for each of the stories: how long it is kept, chapter
-- Returns {answer, version}. The claim of a poll that runs meanwhile stands: its commit finds another version.
local function amend(keys, args)
  local now, account = clock(args[1]), args[2]
  local stored = redis.call('HGET', keys[2], 'v') or '0'
  if tonumber(stored) ~= tonumber(args[3]) then
    return {'moved', stored}
  end
  local version = whole(math.max(tonumber(redis.call('GET', keys[1]) or '0') + 1, now))
  redis.call('SET', keys[1], version)
  redis.call('HSET', keys[2], 'v', version, 'd', args[4])
  redis.call('HSET', keys[3], account, version)
  redis.call(args[5] == '1' and 'SADD' or 'SREM', keys[6], account)
  local rows = tonumber(args[7])
  for i = 1, rows do
    redis.call('HSET', keys[4], version .. '-' .. (i - 1), args[7 + i])
  end
  if rows > 0 then
    redis.call('ZADD', keys[5], 'LT', whole(now + tonumber(args[6])), account)
  end
  for i = 7, #keys do
    local at = 8 + rows + 2 * (i - 7)
    tell_story(keys[i], version, now, args[at + 1], args[at])
  end
  return {'written', version}
end

redis.register_function('bm_amend', amend)
