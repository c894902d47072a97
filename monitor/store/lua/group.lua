-- Groups of one channel: rows arrive, messages are frozen, told and settled.
--
-- The keys of a group come in this order, after which follow those a function adds:
--   1 group, 2 news, 3 items, 4 telling, 5 open, 6 live, 7 marks, 8 due, 9 leased, 10 idle,
--   11 hushed, 12 critical, 13 warning, 14 failing, 15 health, 16 clock, 17 alone

-- As many a group has of its own.
local OWN = 17
-- Level news fold by alert when they are told; events do not, so a channel that stays down must not collect
-- them without end. Those beyond are counted, and told as a number.
local NEWS_MAX = 10000

-- Accounts come and go: of more marks than this `tidy` drops those that are old.
local MARKS_MAX = 1000

local function quiet(keys)
  return redis.call('EXISTS', keys[2]) == 0 and redis.call('EXISTS', keys[5]) == 0
    and redis.call('EXISTS', keys[6]) == 0 and redis.call('HEXISTS', keys[1], 'telling') == 0
end

-- Every write gives a new version, never one used before, not even by a group that was deleted meanwhile.
local function touch(keys, now)
  local version = whole(math.max(tonumber(redis.call('HGET', keys[1], 'ver') or '0') + 1, now))
  redis.call('HSET', keys[1], 'ver', version)
  return version
end

local function rest(keys, group, now)
  if quiet(keys) then
    redis.call('ZADD', keys[10], 'NX', whole(now), group)
  else
    redis.call('ZREM', keys[10], group)
  end
end

-- When news that wait are told: an interval after the last message, at once when the last alert is over.
local function next_flush(keys, now)
  local known = redis.call('HMGET', keys[1], 'flushed', 'interval', 'over')
  if known[3] then
    return now
  end
  -- A clock that was set back leaves times in the future: nobody waits the difference out.
  return math.max(now, math.min(now, tonumber(known[1] or '0')) + tonumber(known[2] or '0'))
end

local function later(version_a, index_a, version_b, index_b)
  return version_a > version_b or (version_a == version_b and index_a > index_b)
end

-- Give rows of one account to a group, in order. Rows at or below its mark have had their effect.
--
-- ARGV  now, group, account, labels, wait, interval, repeat, route,
--       then for each row: version, index, news, fingerprint, key, item
-- Returns {rows that were new, due time or ''}.
local function apply(keys, args)
  local now, group, account = clock(args[1]), args[2], args[3]
  local mark = redis.call('HGET', keys[7], account) or '0-0'
  local version, index = string.match(mark, '^(%d+)%-(%d+)$')
  version, index = tonumber(version), tonumber(index)
  local fresh = {}
  for i = 9, #args, 6 do
    local row_version, row_index = tonumber(args[i]), tonumber(args[i + 1])
    if later(row_version, row_index, version, index) then
      fresh[#fresh + 1] = i
      version, index = row_version, row_index
    end
  end
  if #fresh == 0 then
    return {'0', earliest(score(keys[8], group), nil)}
  end

  if quiet(keys) then
    -- As good as new: it waits for company again.
    redis.call('HDEL', keys[1], 'flushed', 'over')
  end
  for _, i in ipairs(fresh) do
    local news, fingerprint, key = args[i + 2], args[i + 3], args[i + 4]
    if news == 'resolved' then
      redis.call('SREM', keys[6], fingerprint)
      if redis.call('EXISTS', keys[6]) == 0 then
        redis.call('HSET', keys[1], 'over', '1')
      end
    elseif news ~= 'event' and news ~= 'acked' then
      redis.call('SADD', keys[6], fingerprint)
      redis.call('HDEL', keys[1], 'over')
    end
    if news == 'event' and redis.call('LLEN', keys[2]) >= NEWS_MAX then
      redis.call('HINCRBY', keys[1], 'dropped', 1)
    else
      redis.call('RPUSH', keys[2], key)
      redis.call('HSET', keys[3], key, args[i + 5])
      weigh_more(keys, key)
    end
  end
  if redis.call('HSET', keys[7], account, whole(version) .. '-' .. whole(index)) == 1
    and redis.call('HLEN', keys[7]) > MARKS_MAX then
    redis.call('HSET', keys[16], 'crowded', group)
  end
  redis.call('HSET', keys[1], 'labels', args[4], 'interval', args[6], 'repeat', args[7], 'route', args[8])
  touch(keys, now)
  redis.call('ZREM', keys[10], group)

  local known = redis.call('HMGET', keys[1], 'flushed', 'failing', 'digest')
  local due = known[1] and next_flush(keys, now) or now + tonumber(args[5])
  -- During a lease its holder sets the next time. After a failure the ladder does, which must not be hurried.
  local planned = score(keys[8], group)
  -- One that is told with others waits for what comes of that.
  if not known[3] and not score(keys[9], group) then
    fold_news(keys)
    if not (planned and known[2]) then
      planned = planned and math.min(planned, due) or due
    end
    schedule(keys, group, planned)
  end
  return {whole(#fresh), earliest(planned, nil)}
end

-- What a group says: {fields flat, open flat, news flat (key, item), how many wait, what is suppressed or ''}.
local function contents(keys, group, fields, most)
  local news = {}
  for _, key in ipairs(redis.call('LRANGE', keys[2], 0, tonumber(most) - 1)) do
    news[#news + 1] = key
    news[#news + 1] = redis.call('HGET', keys[3], key) or ''
  end
  local waiting = redis.call('LLEN', keys[2]) + tonumber(redis.call('HGET', keys[1], 'dropped') or '0')
  return {fields, redis.call('HGETALL', keys[5]), news, whole(waiting), redis.call('HGET', keys[11], group) or ''}
end

-- What a leased group says. A lease on a group that no longer exists is given up.
-- ARGV  group, token, most news
-- Returns {} or its `contents`.
local function read_group(keys, args)
  if score(keys[9], args[1]) ~= tonumber(args[2]) then
    return {}
  end
  local fields = redis.call('HGETALL', keys[1])
  if #fields == 0 then
    redis.call('ZREM', keys[9], args[1])
    return {}
  end
  return contents(keys, args[1], fields, args[3])
end

-- Put the items of the frozen message that are not in `kept` back in front of the news, in their order.
local function unfreeze(keys, kept)
  local told = redis.call('LRANGE', keys[4], 0, -1)
  for i = #told, 1, -1 do
    if not kept[told[i]] then
      redis.call('LPUSH', keys[2], told[i])
    end
  end
  redis.call('DEL', keys[4])
  return told
end

-- `message` is what is told now, with the news in `listed`. One that `tells` nobody anything only strikes off what is
-- not to be heard, which makes nobody wait for the next.
local function hold(keys, now, message, listed, tells)
  local taken = {}
  for _, key in ipairs(listed) do
    taken[key] = true
  end
  unfreeze(keys, taken)
  for _, key in ipairs(listed) do
    redis.call('LREM', keys[2], 1, key)
    if redis.call('HEXISTS', keys[3], key) == 1 then
      redis.call('RPUSH', keys[4], key)
    end
  end
  redis.call('HSET', keys[1], 'telling', message)
  if tells then
    redis.call('HSET', keys[1], 'flushed', whole(now))
  end
  redis.call('HDEL', keys[1], 'failed')
  -- The end of the last alert may have come after this message was composed: then it is still to be told at once.
  if redis.call('EXISTS', keys[2]) == 0 then
    redis.call('HDEL', keys[1], 'over')
  end
end

-- KEYS  also the message's log, the log of what it replaces (or its own), and of each alert what told of it
-- ARGV  now, group, token, message, id, head for its log ('' when it says nothing), how long that is kept,
--       then the keys of the news in it
-- Returns {} when the lease is another's, else {version}.
local function freeze(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return {}
  end
  local now, listed = clock(args[1]), {}
  for i = 8, #args do
    listed[#listed + 1] = args[i]
  end
  hold(keys, now, args[4], listed, args[6] ~= '')
  -- It may arrive: whoever claims it next sends it as it is.
  redis.call('SADD', keys[17], args[2])
  note_frozen(keys, OWN + 1, now, args[5], args[6], args[7])
  return {touch(keys, now)}
end

-- The lease ends: due at `wish` ('' for not by itself), when news that came meanwhile are to be told, or at once when
-- what was suppressed may have ceased to be so meanwhile.
local function plan(keys, group, wish, news, now)
  local due = tonumber(wish)
  if redis.call('HDEL', keys[1], 'roused') == 1 then
    due = now
  elseif news then
    local flush = next_flush(keys, now)
    due = due and math.min(due, flush) or flush
  end
  redis.call('ZREM', keys[9], group)
  if due then
    schedule(keys, group, due)
  end
  rest(keys, group, now)
end

-- The frozen message is done with: forget its items, and take over what the channel was told.
local function close(keys, group, args, told_at, now)
  for _, key in ipairs(redis.call('LRANGE', keys[4], 0, -1)) do
    redis.call('HDEL', keys[3], key)
  end
  redis.call('DEL', keys[4])
  redis.call('HDEL', keys[1], 'telling', 'failed', 'failing', 'attempts', 'why', 'digest', 'alone')
  redis.call('SREM', keys[17], group)
  if redis.call('EXISTS', keys[2]) == 0 then
    redis.call('HDEL', keys[1], 'dropped')
  end
  redis.call('ZREM', keys[14], group)
  weigh(keys)
  for i = told_at, #args, 2 do
    if args[i + 1] == '' then
      redis.call('HDEL', keys[5], args[i])
    else
      redis.call('HSET', keys[5], args[i], args[i + 1])
    end
  end
  touch(keys, now)
end

-- KEYS  also the message's log, sent
-- ARGV  now, group, token, due time or '', id, attempt or '', how long its log is kept,
--       then pairs of (fingerprint, what was told or '')
local function settle(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  local now = clock(args[1])
  if args[6] ~= '' then
    -- What was not frozen is on no record.
    if args[5] ~= '' then
      note_attempt(keys[OWN + 1], 'sent', args[6], args[7])
      redis.call('XADD', keys[OWN + 2], 'MAXLEN', SENT_MAX, '*', 'n', args[5])
    end
    reached(keys, now, true)
  else
    untried(keys, args[2], now)
  end
  close(keys, args[2], args, 8, now)
  plan(keys, args[2], args[4], redis.call('EXISTS', keys[2]) == 1, now)
  return 1
end

-- KEYS  also the message's log, dead, letters
-- ARGV  now, group, token, due time or '', id, attempt, how long its log is kept, dead letter, why,
--       at fault ('message', 'channel', '' when there were too many attempts),
--       then pairs of (fingerprint, what was told or '')
local function bury(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  local now = clock(args[1])
  note_attempt(keys[OWN + 1], 'dead', args[6], args[7])
  keep_letter(keys[OWN + 2], keys[OWN + 3], now, args[5], args[8])
  if args[10] == 'message' then
    reached(keys, now, false)
  else
    missed(keys, args[2], now, args[9], nil, args[10] == 'channel')
  end
  lost(keys, now, args[9])
  close(keys, args[2], args, 11, now)
  plan(keys, args[2], args[4], redis.call('EXISTS', keys[2]) == 1, now)
  return 1
end

-- Nothing of it is on its way any more: it may be told with others, unless it is to be told by itself.
local function may_join(keys, group)
  local known = redis.call('HMGET', keys[1], 'alone', 'replays')
  if not known[1] and not known[2] then
    redis.call('SREM', keys[17], group)
  end
end

-- KEYS  also the message's log
-- ARGV  now, group, token, due time, why, attempt, how long its log is kept, how long the destination asked to be left
--       alone or ''
local function postpone(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  local now = clock(args[1])
  unfreeze(keys, {})
  note_attempt(keys[OWN + 1], 'failed', args[6], args[7])
  redis.call('ZADD', keys[14], 'NX', whole(now), args[2])
  redis.call('HINCRBY', keys[1], 'attempts', 1)
  redis.call('HSETNX', keys[1], 'failing', whole(now))
  redis.call('HSET', keys[1], 'failed', '1', 'why', args[5])
  may_join(keys, args[2])
  missed(keys, args[2], now, args[5], tonumber(args[8]))
  -- The ladder is not hurried; what is tried next is what then is to be told.
  redis.call('HDEL', keys[1], 'roused')
  touch(keys, now)
  plan(keys, args[2], args[4], false, now)
  return 1
end

-- KEYS  also the log of the message that failed last, if there is one
-- ARGV  now, group, token, due time or '', version seen
local function defer(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  local now = clock(args[1])
  -- Rows came between the claim and now: whoever decided to wait has not seen them.
  local moved = tonumber(redis.call('HGET', keys[1], 'ver') or '0') ~= tonumber(args[5])
  -- What failed is not to be told now. It is like new when it is: until then nobody climbs its ladder.
  local known = redis.call('HMGET', keys[1], 'telling', 'failing', 'failed')
  if known[1] or (known[2] and not known[3]) then
    redis.call('HDEL', keys[1], 'telling', 'failed', 'failing', 'attempts', 'why')
    redis.call('ZREM', keys[14], args[2])
    note_withdrawn(keys[OWN + 1])
  end
  touch(keys, now)
  untried(keys, args[2], now)
  plan(keys, args[2], args[4], moved, now)
  return 1
end

-- KEYS  idle, clock
-- ARGV  now, how long, limit
local function idle(keys, args)
  local now = clock(args[1])
  return redis.call('ZRANGEBYSCORE', keys[1], '-inf', whole(now - tonumber(args[2])), 'LIMIT', 0, args[3])
end

-- Drop marks that are still as they were seen.
-- KEYS  marks
-- ARGV  pairs of (account, mark)
local function trim(keys, args)
  for i = 1, #args, 2 do
    if redis.call('HGET', keys[1], args[i]) == args[i + 1] then
      redis.call('HDEL', keys[1], args[i])
    end
  end
  return 1
end

-- Delete a group that is still idle.
-- ARGV  group
local function forget(keys, args)
  if not score(keys[10], args[1]) or score(keys[9], args[1]) then
    return 0
  end
  for i = 1, 7 do
    redis.call('DEL', keys[i])
  end
  redis.call('HDEL', keys[11], args[1])
  redis.call('SREM', keys[17], args[1])
  for _, i in ipairs({8, 9, 10, 12, 13, 14}) do
    redis.call('ZREM', keys[i], args[1])
  end
  return 1
end

redis.register_function('bm_apply', apply)
redis.register_function('bm_read_group', read_group)
redis.register_function('bm_freeze', freeze)
redis.register_function('bm_settle', settle)
redis.register_function('bm_bury', bury)
redis.register_function('bm_postpone', postpone)
redis.register_function('bm_defer', defer)
redis.register_function('bm_idle', idle)
redis.register_function('bm_trim', trim)
redis.register_function('bm_forget', forget)
