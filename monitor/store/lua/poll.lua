-- Claims and commits of polls. Everything in one partition.

-- Take out of the due ones what this configuration has passed on lately: the others shall find it. Returns what was
-- taken, as (due time, account) flat, and when the first of it is to be looked at again.
local function set_aside(due, passed, configuration, now)
  local found, again = {}, nil
  local marks = redis.call('HGETALL', passed)
  for i = 1, #marks, 2 do
    local by, account = string.match(marks[i], '^(%S*) (.*)$')
    local ends = tonumber(marks[i + 1])
    local at = by == configuration and ends > now and score(due, account)
    if ends <= now then
      redis.call('HDEL', passed, marks[i])
    elseif at then
      redis.call('ZREM', due, account)
      found[#found + 1] = whole(at)
      found[#found + 1] = account
      again = math.min(again or ends, ends)
    end
  end
  return found, again
end

-- Those that a bet waits for, longest first, as (account, due time) flat. One that is being polled has to wait for that.
local function front(ahead, due, now, limit)
  local found = {}
  for _, account in ipairs(redis.call('ZRANGE', ahead, 0, LEASES_MAX - 1)) do
    local at = #found < 2 * limit and score(due, account)
    if at and at <= now then
      found[#found + 1] = account
      found[#found + 1] = whole(at)
    end
  end
  return found
end

-- Those for which it is time, without those first in line.
local function behind(ahead, due, now, limit)
  local many = math.min(limit + redis.call('ZCARD', ahead), LEASES_MAX)
  local all, found = redis.call('ZRANGEBYSCORE', due, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, whole(many)), {}
  for i = 1, #all, 2 do
    if #found < 2 * limit and not score(ahead, all[i]) then
      found[#found + 1] = all[i]
      found[#found + 1] = all[i + 1]
    end
  end
  return found
end

-- Lease what is due: those first in line, or the others that have been due for so long.
local function pick_and_lease(keys, now, limit, length, only, patience)
  if only then
    local found = front(keys[6], keys[1], now, math.min(limit, LEASES_MAX))
    return grant(keys[1], keys[2], keys[3], now, length, found), found
  end
  local choose = patience > 0 or redis.call('EXISTS', keys[6]) == 1
  return lease(keys[1], keys[2], keys[3], now, limit, length, choose and function(more)
    return behind(keys[6], keys[1], now - patience, more)
  end)
end

-- KEYS  due, leased, clock, last, passed, ahead
-- ARGV  now, limit, lease length, configuration, '1' for those first in line, '' for the others, how long these must
--       have been due
-- Returns {now, next time or '', token, how many are still first in line, then (account, due time, version or '', '1' if
-- it was first in line or '') flat}.
local function claim(keys, args)
  local now, patience = clock(args[1]), tonumber(args[6])
  follow(keys[3], now, {keys[1], keys[2], keys[6]})
  local kept, again = {}, nil
  if redis.call('EXISTS', keys[5]) == 1 then
    kept, again = set_aside(keys[1], keys[5], args[4], now)
  end
  local token, found = pick_and_lease(keys, now, tonumber(args[2]), tonumber(args[3]), args[5] == '1', patience)
  local coming, names, marks = first(keys[1]), members(found), {}
  coming = coming and coming + patience
  local next_at = earliest(coming and again and math.min(coming, again) or coming or again, first(keys[2]))
  for i = 1, #kept, 2 do
    redis.call('ZADD', keys[1], kept[i], kept[i + 1])
  end
  local waiting = redis.call('ZCARD', keys[6])
  if waiting > 0 and #names > 0 then
    marks = redis.call('ZMSCORE', keys[6], unpack(names))
    waiting = waiting - redis.call('ZREM', keys[6], unpack(names))
  end
  local reply = {whole(now), next_at, whole(token), whole(waiting)}
  local versions = #found > 0 and redis.call('HMGET', keys[4], unpack(names))
  for i, name in ipairs(names) do
    reply[#reply + 1] = name
    reply[#reply + 1] = whole(tonumber(found[2 * i]))
    reply[#reply + 1] = versions[i] or ''
    reply[#reply + 1] = marks[i] and '1' or ''
  end
  return reply
end

-- Lease one account whenever it is due, unless somebody is at it. That it is due then is to be kept.
-- KEYS  due, leased, clock, last
-- ARGV  now, account, lease length
-- Returns {token, due time, version or '', now}, or {} when it is not to be had.
local function take(keys, args)
  local now, account = clock(args[1]), args[2]
  follow(keys[3], now, {keys[1], keys[2]})
  local due, busy = score(keys[1], account), score(keys[2], account)
  if not due or (busy and busy > now) then
    return {}
  end
  local token = math.max(now + tonumber(args[3]), tonumber(redis.call('HGET', keys[3], 'token') or '0') + 1)
  redis.call('HSET', keys[3], 'token', whole(token))
  redis.call('ZADD', keys[2], whole(token), account)
  redis.call('ZREM', keys[1], account)
  return {whole(token), whole(due), redis.call('HGET', keys[4], account) or '', whole(now)}
end

-- KEYS  due, leased
-- ARGV  triples of (account, due time if it has none, latest due time or '')
local function enrol(keys, args)
  for i = 1, #args, 3 do
    if not score(keys[2], args[i]) then
      redis.call('ZADD', keys[1], 'NX', args[i + 1], args[i])
      if args[i + 2] ~= '' then
        redis.call('ZADD', keys[1], 'XX', 'LT', args[i + 2], args[i])
      end
    end
  end
  return 1
end

-- KEYS  due, leased, last, ahead; of accounts that are gone altogether also changed, seen, left
-- ARGV  now, accounts
local function dismiss(keys, args)
  local now = clock(args[1])
  for i = 2, #args do
    redis.call('ZREM', keys[1], args[i])
    redis.call('ZREM', keys[2], args[i])
    redis.call('HDEL', keys[3], args[i])
    redis.call('ZREM', keys[4], args[i])
    if keys[5] then
      redis.call('ZREM', keys[5], args[i])
      redis.call('ZREM', keys[6], args[i])
      redis.call('ZADD', keys[7], whole(now), args[i])
    end
  end
  return 1
end

-- Give claims back, due as they were. Nothing happens to a lease no longer ours.
-- KEYS  due, leased, ahead
-- ARGV  now, then (account, token, due time, '1' if it was first in line or '') flat
local function release(keys, args)
  local now = clock(args[1])
  for i = 2, #args, 4 do
    if score(keys[2], args[i]) == tonumber(args[i + 1]) then
      local at = tonumber(args[i + 2])
      redis.call('ZREM', keys[2], args[i])
      -- Asked for during the lease: that wish stands.
      if redis.call('ZREM', keys[1], args[i]) == 1 then
        at = math.min(at, now)
      end
      redis.call('ZADD', keys[1], whole(at), args[i])
      if args[i + 3] == '1' then
        redis.call('ZADD', keys[3], 'LT', whole(at), args[i])
      end
    end
  end
  return 1
end

-- Give a claim back for those that run another configuration: due as it was, but this one looks at it again only after
-- a while.
-- KEYS  due, leased, passed, ahead
-- ARGV  now, account, token, due time, configuration, how long it is left to the others, '1' if it was first in line or
--       ''
local function pass_on(keys, args)
  local now, account = clock(args[1]), args[2]
  if score(keys[2], account) == tonumber(args[3]) then
    redis.call('ZREM', keys[2], account)
    redis.call('ZADD', keys[1], 'LT', args[4], account)
    redis.call('HSET', keys[3], args[5] .. ' ' .. account, whole(now + tonumber(args[6])))
    if args[7] == '1' then
      redis.call('ZADD', keys[4], 'LT', args[4], account)
    end
  end
  return 1
end

-- Due now. During a poll the wish waits at the lease's end, out of the way of others; the commit honours it.
local function wish(due, leased, account, now)
  local busy = score(leased, account)
  if busy and busy > now then
    redis.call('ZADD', due, whole(busy), account)
  else
    redis.call('ZADD', due, 'LT', whole(now), account)
  end
end

-- KEYS  due, leased
-- ARGV  now, account
local function poll_now(keys, args)
  wish(keys[1], keys[2], args[2], clock(args[1]))
  return 1
end

-- Due now, and first in line: a bet waits. All processes that poll hear of it.
-- KEYS  due, leased, ahead
-- ARGV  now, account, '1' where a poll under way will do or '', '1' if one more is paid for or '', channel, message
-- Returns {now, 'new' | 'there' (a poll that will do was asked for already) | 'none' (it was not, and is not paid for)}.
local function poll_first(keys, args)
  local now, account = clock(args[1]), args[2]
  local busy = score(keys[2], account)
  if score(keys[3], account) or (args[3] == '1' and busy and busy > now) then
    return {whole(now), 'there'}
  end
  if args[4] ~= '1' then
    return {whole(now), 'none'}
  end
  wish(keys[1], keys[2], account, now)
  redis.call('ZADD', keys[3], whole(now), account)
  -- Whoever may not publish here has its polls begin within a second all the same.
  redis.pcall('PUBLISH', args[5], args[6])
  return {whole(now), 'new'}
end

-- Movements of one partition that wait to be summed up. More than that within a window is not summed up exactly.
local MOVES_MAX = 100000

-- A point is kept when it changed; the last one of each hour is kept for longer.
local function chart(keys, at_key, version, index, args, at_arg, keep, most, now)
  local recent, hourly, closing = keys[at_key], keys[at_key + 1], keys[14]
  local asset, at, count = args[at_arg], args[at_arg + 1], tonumber(args[at_arg + 2])
  local id = version .. '-' .. index
  local fields = {'at', at}
  for i = 0, count - 1 do
    local measure, value = args[at_arg + 3 + 2 * i], args[at_arg + 4 + 2 * i]
    fields[#fields + 1] = measure
    fields[#fields + 1] = value
    local name = asset .. ' ' .. measure
    local held = redis.call('HGET', closing, name)
    if held then
      local held_at, held_value = string.match(held, '^(%d+) (.*)$')
      if held_at and math.floor(tonumber(held_at) / HOUR) < math.floor(tonumber(at) / HOUR) then
        redis.call('XADD', hourly, version .. '-' .. (1000 * index + i), 'at', held_at, measure, held_value)
      end
    end
    redis.call('HSET', closing, name, at .. ' ' .. value)
  end
  redis.call('XADD', recent, 'MAXLEN', '~', most, id, unpack(fields))
  redis.call('XTRIM', recent, 'MINID', '~', whole(math.max(0, now - keep)))
  redis.call('XTRIM', hourly, 'MINID', '~', whole(math.max(0, now - keep)))
  return at_arg + 3 + 2 * count
end

-- Write one poll, all of it or nothing.
--
-- KEYS  due, leased, seq, record, last, wallets; of an account that is summed up also changed, seen; with rows, events,
--       points or alerts instead all of these and
--       moves, outbox, outdue, events, open, closing, then (points, hourly) for each asset, then stories
-- ARGV  now, account, version read, token, next due time, s, d, w, k ('' means unchanged),
--       when the reading is stale ('' for one that is not summed up), whether it is another one ('1' or '0');
--       generation of the configuration; how many arguments tell the guard what was read, them; with more keys also
--       how long movements are kept to be summed up ('' for not at all), has alerts ('1', '0' or ''), sweep delay,
--       keep, most events, most points,
--       number of rows, rows, number of events, events,
--       number of chapters, chapters as (how long kept, chapter), one for each of the stories,
--       then for each asset: name, time, number of measures, pairs of (measure, value)
-- Returns {answer, version}.
local function commit(keys, args)
  local now, account, token = clock(args[1]), args[2], tonumber(args[4])
  local stored = redis.call('HMGET', keys[4], 'v', 't', 'g')
  if stored[2] and tonumber(stored[2]) == token then
    return {'already', stored[1]}
  end
  if score(keys[2], account) ~= token then
    return {'lost', stored[1] or '0'}
  end
  if tonumber(stored[1] or '0') ~= tonumber(args[3]) then
    return {'moved', stored[1] or '0'}
  end
  -- Judged by a newer configuration already: that one's word stands.
  if tonumber(args[12]) < tonumber(stored[3] or '0') then
    return {'outdated', stored[1] or '0'}
  end

  local version = whole(math.max(tonumber(redis.call('GET', keys[3]) or '0') + 1, now))
  redis.call('SET', keys[3], version)
  local fields = {'v', version, 't', args[4]}
  for i, name in ipairs({'s', 'd', 'w', 'k'}) do
    if args[5 + i] ~= '' then
      fields[#fields + 1] = name
      fields[#fields + 1] = args[5 + i]
    end
  end
  if args[12] ~= (stored[3] or '0') then
    fields[#fields + 1] = 'g'
    fields[#fields + 1] = args[12]
  end
  redis.call('HSET', keys[4], unpack(fields))
  redis.call('HSET', keys[5], account, version)
  redis.call('ZREM', keys[2], account)
  -- It is among the due ones only when a poll was asked for during this one: then one more follows.
  if redis.call('ZADD', keys[1], 'NX', args[5], account) == 0 then
    redis.call('ZADD', keys[1], whole(now), account)
  end
  local told = tonumber(args[13])
  if told > 0 then
    feed(keys[6], now, args, 14, 13 + told)
  end
  if args[10] ~= '' then
    redis.call('ZADD', keys[8], args[10], account)
    if args[11] == '1' then
      redis.call('ZADD', keys[7], version, account)
    end
  end
  if #keys <= 8 then
    return {'written', version}
  end

  local at = 14 + told
  local moves = args[at]
  if args[at + 1] == '1' then
    redis.call('SADD', keys[13], account)
  elseif args[at + 1] == '0' then
    redis.call('SREM', keys[13], account)
  end
  local delay, keep, most_events, most_points = tonumber(args[at + 2]), tonumber(args[at + 3]), args[at + 4], args[at + 5]
  at = at + 6
  local rows = tonumber(args[at])
  for i = 1, rows do
    redis.call('HSET', keys[10], version .. '-' .. (i - 1), args[at + i])
  end
  if rows > 0 then
    redis.call('ZADD', keys[11], 'LT', whole(now + delay), account)
  end
  at = at + rows + 1
  local events = tonumber(args[at])
  for i = 1, events do
    local id = version .. '-' .. (i - 1)
    redis.call('XADD', keys[12], 'MAXLEN', '~', most_events, id, 'e', args[at + i])
    if moves ~= '' then
      redis.call('XADD', keys[9], 'MAXLEN', '~', MOVES_MAX, id, 'a', account, 'e', args[at + i])
    end
  end
  if events > 0 then
    redis.call('XTRIM', keys[12], 'MINID', '~', whole(math.max(0, now - keep)))
    if moves ~= '' then
      redis.call('XTRIM', keys[9], 'MINID', '~', whole(math.max(0, now - tonumber(moves))))
    end
  end
  at = at + events + 1
  local chapters = tonumber(args[at])
  for i = 1, chapters do
    tell_story(keys[#keys - chapters + i], version, now, args[at + 2 * i], args[at + 2 * i - 1])
  end
  at = at + 2 * chapters + 1
  local index = 0
  while at <= #args do
    at = chart(keys, 15 + 2 * index, version, index, args, at, keep, most_points, now)
    index = index + 1
  end
  return {'written', version}
end

-- What has another value since the version a sum knows, and what has become stale since the time it asked last.
-- KEYS  changed, seen, seq, epoch
-- ARGV  now, version, time ('' for both: only how far it goes), limit
-- Returns {now, highest version, epoch, number of stale accounts, them, then (account, version) flat}.
local function news(keys, args)
  local now = clock(args[1])
  local reply = {whole(now), redis.call('GET', keys[3]) or '0', redis.call('GET', keys[4]) or '', '0'}
  if args[2] == '' then
    return reply
  end
  local stale = redis.call('ZRANGEBYSCORE', keys[2], args[3], whole(now))
  reply[4] = tostring(#stale)
  for i = 1, #stale do
    reply[#reply + 1] = stale[i]
  end
  local found = redis.call('ZRANGEBYSCORE', keys[1], '(' .. args[2], '+inf', 'WITHSCORES', 'LIMIT', 0, args[4])
  for i = 1, #found, 2 do
    reply[#reply + 1] = found[i]
    reply[#reply + 1] = whole(tonumber(found[i + 1]))
  end
  return reply
end

-- Whose outboxes are to be swept.
-- KEYS  outdue, outclock
-- ARGV  now, limit
local function outdue(keys, args)
  local now = clock(args[1])
  follow(keys[2], now, {keys[1]})
  return redis.call('ZRANGEBYSCORE', keys[1], '-inf', whole(now), 'LIMIT', 0, args[2])
end

-- Strike off rows that were applied.
-- KEYS  outbox, outdue
-- ARGV  now, account, sweep delay, then the rows' fields
local function strike(keys, args)
  local now = clock(args[1])
  for i = 4, #args do
    redis.call('HDEL', keys[1], args[i])
  end
  if redis.call('EXISTS', keys[1]) == 0 then
    redis.call('ZREM', keys[2], args[2])
  else
    redis.call('ZADD', keys[2], whole(now + tonumber(args[3])), args[2])
  end
  return #args - 3
end

redis.register_function('bm_claim', claim)
redis.register_function('bm_take_one', take)
redis.register_function('bm_enrol', enrol)
redis.register_function('bm_dismiss', dismiss)
redis.register_function('bm_release', release)
redis.register_function('bm_pass_on', pass_on)
redis.register_function('bm_poll_now', poll_now)
redis.register_function('bm_poll_first', poll_first)
redis.register_function('bm_commit', commit)
redis.register_function('bm_news', news)
redis.register_function('bm_outdue', outdue)
redis.register_function('bm_strike', strike)
