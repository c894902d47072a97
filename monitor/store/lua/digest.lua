-- A digest: the messages of several groups as one. While it is out, each of these keeps its own part frozen, and is
-- neither due nor leased; the digest is a group like any other, but for its `members`.
--
-- What follows takes the keys of the digest, then the first OWN_ALONE keys of each member in turn, then what a function
-- adds. Arguments of members come one member after the other.

-- Of the keys of a group, those that no other group has.
local OWN_ALONE = 7

-- The keys of the `number`th member, as the functions of a group take them.
local function member_keys(keys, number)
  local own = {}
  for i = 1, OWN do
    own[i] = i <= OWN_ALONE and keys[OWN + (number - 1) * OWN_ALONE + i] or keys[i]
  end
  return own
end

-- Where the keys that a function adds begin, less one.
local function after_members(count)
  return OWN + count * OWN_ALONE
end

local function done_with(keys, digest)
  redis.call('DEL', keys[1])
  redis.call('ZREM', keys[9], digest)
  redis.call('SREM', keys[17], digest)
end

-- KEYS  also the digest's log, for each member the log of what its part replaces (or the digest's), and of each alert
--       what told of it
-- ARGV  now, digest, lease length, message, id, head for its log, how long that is kept, labels, members as JSON,
--       how many, then of each: group, token, its part, how many news are in it, their keys
-- Returns {} when one of their leases is another's, and then nothing has changed; else {token, version}.
local function freeze_digest(keys, args)
  local now, digest, count = clock(args[1]), args[2], tonumber(args[10])
  local parts, at = {}, 11
  for number = 1, count do
    local listed, news = {}, tonumber(args[at + 3])
    for i = at + 4, at + 3 + news do
      listed[#listed + 1] = args[i]
    end
    parts[number] = {group = args[at], part = args[at + 2], listed = listed}
    if score(keys[9], args[at]) ~= tonumber(args[at + 1]) then
      return {}
    end
    at = at + 4 + news
  end
  local logs = after_members(count)
  for number, one in ipairs(parts) do
    local own = member_keys(keys, number)
    hold(own, now, one.part, one.listed, true)
    redis.call('HSET', own[1], 'digest', digest)
    redis.call('ZREM', keys[9], one.group)
    touch(own, now)
    local replaced = keys[logs + 1 + number]
    if replaced ~= keys[logs + 1] then
      note_withdrawn(replaced)
    end
  end
  redis.call('HSET', keys[1], 'telling', args[4], 'labels', args[8], 'members', args[9], 'interval', '0', 'repeat', '0',
    'flushed', whole(now))
  redis.call('SADD', keys[17], digest)
  local given = tonumber(redis.call('HGET', keys[16], 'token') or '0')
  local token = math.max(now + tonumber(args[3]), given + 1)
  redis.call('HSET', keys[16], 'token', whole(token))
  redis.call('ZADD', keys[9], whole(token), digest)
  local noted = {keys[logs + 1], keys[logs + 1]}
  for i = logs + count + 2, #keys do
    noted[#noted + 1] = keys[i]
  end
  note_frozen(noted, 1, now, args[5], args[6], args[7])
  return {whole(token), touch(keys, now)}
end

-- What a member of a digest says.
-- ARGV  group, digest, most news
-- Returns {} when it is none (any more), or its `contents`.
local function read_member(keys, args)
  if redis.call('HGET', keys[1], 'digest') ~= args[2] then
    return {}
  end
  return contents(keys, args[1], redis.call('HGETALL', keys[1]), args[3])
end

-- A member whose part did not arrive: its news are as untold as they were.
local function give_back_part(own, group, due, now)
  unfreeze(own, {})
  redis.call('HDEL', own[1], 'telling', 'failed', 'digest', 'roused')
  touch(own, now)
  plan(own, group, due, false, now)
end

-- KEYS  also the digest's log, sent
-- ARGV  now, digest, token, id, attempt, how long its log is kept, how many members, then of each: group, due time or
--       '', what is suppressed in it ('' for nothing, '-' for as it was), how many alerts it told of, then pairs of
--       (fingerprint, what was told or ''). Where '-' stands for that number nobody could read it.
local function settle_digest(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  local now, count, at = clock(args[1]), tonumber(args[7]), 8
  local logs = after_members(count)
  note_attempt(keys[logs + 1], 'sent', args[5], args[6])
  redis.call('XADD', keys[logs + 2], 'MAXLEN', SENT_MAX, '*', 'n', args[4])
  reached(keys, now, true)
  for number = 1, count do
    local own, group, told, pairs_of = member_keys(keys, number), args[at], {}, tonumber(args[at + 3])
    for i = at + 4, at + 3 + 2 * (pairs_of or 0) do
      told[#told + 1] = args[i]
    end
    if redis.call('HGET', own[1], 'digest') == args[2] then
      if not pairs_of then
        give_back_part(own, group, args[at + 1], now)
      else
        if args[at + 2] == '' then
          redis.call('HDEL', keys[11], group)
        elseif args[at + 2] ~= '-' then
          redis.call('HSET', keys[11], group, args[at + 2])
        end
        close(own, group, told, 1, now)
        plan(own, group, args[at + 1], redis.call('EXISTS', own[2]) == 1, now)
      end
    end
    at = at + 4 + 2 * (pairs_of or 0)
  end
  done_with(keys, args[2])
  return 1
end

-- It did not arrive. Its members have their news again, and tell by themselves or with others how things stand then.
-- KEYS  also the digest's log
-- ARGV  now, digest, token, attempt, how long its log is kept, why, how long the destination asked to be left alone or
--       '', at fault ('message', 'channel' or ''), how many members, then of each: group, due time, whether an attempt
--       of it is counted, whether it is to be told by itself
local function dissolve(keys, args)
  if score(keys[9], args[2]) ~= tonumber(args[3]) then
    return 0
  end
  local now, why, count = clock(args[1]), args[6], tonumber(args[9])
  local noted = keys[after_members(count) + 1]
  note_attempt(noted, 'failed', args[4], args[5])
  note_withdrawn(noted)
  for number = 1, count do
    local own, at = member_keys(keys, number), 10 + (number - 1) * 4
    local group = args[at]
    if redis.call('HGET', own[1], 'digest') == args[2] then
      if args[at + 2] == '1' then
        redis.call('ZADD', keys[14], 'NX', whole(now), group)
        redis.call('HINCRBY', own[1], 'attempts', 1)
        redis.call('HSETNX', own[1], 'failing', whole(now))
        redis.call('HSET', own[1], 'why', why)
      end
      if args[at + 3] == '1' then
        redis.call('HSET', own[1], 'alone', '1')
        redis.call('SADD', keys[17], group)
      end
      give_back_part(own, group, args[at + 1], now)
    end
  end
  if args[8] == 'message' then
    reached(keys, now, false)
  else
    missed(keys, args[2], now, why, tonumber(args[7]), args[8] == 'channel')
  end
  done_with(keys, args[2])
  return 1
end

redis.register_function('bm_freeze_digest', freeze_digest)
redis.register_function('bm_read_member', read_member)
redis.register_function('bm_settle_digest', settle_digest)
redis.register_function('bm_dissolve', dissolve)
