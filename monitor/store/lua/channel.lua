-- A channel as a whole: in which order its groups are claimed, whether it takes messages, and since when not.
--
-- Its clock says besides the time: `pause`, until when the destination asked to be left alone; and `open`, there
-- while the breaker is open: when a single group is tried next. `prober` is the one being tried.
--
-- What follows takes the keys of a group (see group.lua) unless it says otherwise.

-- So many failures in a row, over all groups, and the channel as a whole is taken to fail.
local FAILING_AFTER = 4
-- One that fails is tried again after as long as it has failed by then. Failures of one moment are many in a row too
-- where much is sent at once, so the first try comes soon.
local PROBE_MIN, PROBE_MAX = 5 * SECOND, 600 * SECOND
-- One that refuses us loses a message with every try.
local REFUSED_FOR = 600 * SECOND
-- Failing groups that are looked at, for one to try and to count those that wait.
local LOOK_MAX = 1000
-- Untold news that are looked at for how urgent they are.
local URGENCY_MAX = 1000

-- A group is due at that time, among those as urgent as it is.
local function schedule(keys, group, at)
  local urgency = redis.call('HGET', keys[1], 'urgency')
  redis.call('ZADD', keys[8], whole(at), group)
  for letter, set in pairs({c = keys[12], w = keys[13]}) do
    if letter == urgency then
      redis.call('ZADD', set, whole(at), group)
    else
      redis.call('ZREM', set, group)
    end
  end
end

-- How urgent a group is: as its most urgent untold news, by the first letter of their keys.
local function weigh(keys)
  local most
  for _, key in ipairs(redis.call('LRANGE', keys[2], 0, URGENCY_MAX - 1)) do
    local letter = string.sub(key, 1, 1)
    if letter == 'c' or (letter == 'w' and not most) then
      most = letter
    end
    if most == 'c' then
      break
    end
  end
  if most then
    redis.call('HSET', keys[1], 'urgency', most)
  else
    redis.call('HDEL', keys[1], 'urgency')
  end
end

-- One more piece of news.
local function weigh_more(keys, key)
  local letter, urgency = string.sub(key, 1, 1), redis.call('HGET', keys[1], 'urgency')
  if letter == 'c' or (letter == 'w' and urgency ~= 'c') then
    redis.call('HSET', keys[1], 'urgency', letter)
  end
end

-- Every group that waits for its next try is due now.
local function hurry(due, critical, warning, failing, now)
  for _, group in ipairs(redis.call('ZRANGE', failing, 0, -1)) do
    for _, set in ipairs({due, critical, warning}) do
      redis.call('ZADD', set, 'XX', 'LT', whole(now), group)
    end
  end
end

-- The destination took a message (`delivered`), or at least looked at one and said what is wrong with it.
local function reached(keys, now, delivered)
  local broken = redis.call('HEXISTS', keys[16], 'open') == 1
  redis.call('HSET', keys[15], 'row', '0')
  redis.call('HDEL', keys[15], 'refused')
  if delivered then
    redis.call('HSET', keys[15], 'ok', whole(now))
    redis.call('HDEL', keys[15], 'since', 'why', 'dead')
    widen(keys[16])
  end
  if broken then
    redis.call('HDEL', keys[16], 'open', 'prober')
    hurry(keys[8], keys[12], keys[13], keys[14], now)
  end
end

-- It did not take one: it failed, asked for a pause of `wait`, or refuses us.
local function missed(keys, group, now, why, wait, refused)
  local known = redis.call('HMGET', keys[16], 'pause', 'open', 'prober')
  local pause, open = tonumber(known[1] or '0'), tonumber(known[2] or '0')
  if wait then
    narrow(keys[16])
    redis.call('HSET', keys[16], 'pause', whole(math.max(pause, now + wait)))
    if pause > now then
      -- Sent before it asked: this one hears no more than the pause says.
      return
    end
  end
  local row = redis.call('HINCRBY', keys[15], 'row', 1)
  redis.call('HSETNX', keys[15], 'since', whole(now))
  redis.call('HSET', keys[15], 'why', why)
  if refused then
    redis.call('HSET', keys[15], 'refused', '1')
    redis.call('HSET', keys[16], 'open', whole(now + REFUSED_FOR))
    redis.call('HDEL', keys[16], 'prober')
  elseif row >= FAILING_AFTER and (open <= now or known[3] == group) then
    -- What was on its way when it opened is no further try.
    local lasted = now - tonumber(redis.call('HGET', keys[15], 'since'))
    redis.call('HSET', keys[16], 'open', whole(now + math.min(math.max(lasted, PROBE_MIN), PROBE_MAX)))
    redis.call('HDEL', keys[16], 'prober')
  end
end

-- A message was given up.
local function lost(keys, now, why)
  redis.call('HINCRBY', keys[15], 'dead', 1)
  redis.call('HSETNX', keys[15], 'since', whole(now))
  redis.call('HSET', keys[15], 'why', why)
end

-- A group that was to be tried had nothing to tell: another one may be.
local function untried(keys, group, now)
  if redis.call('HGET', keys[16], 'prober') == group then
    redis.call('HSET', keys[16], 'open', whole(now))
    redis.call('HDEL', keys[16], 'prober')
  end
end

-- Due groups, the most urgent first, then by when they were due; to try a channel, else one that waits for its next.
-- KEYS  as claim_groups
local function most_urgent(keys, now, limit, probing)
  local found = {}
  for _, set in ipairs({keys[5], keys[6], keys[1]}) do
    local left = limit - #found / 2
    if left > 0 then
      for _, group in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', whole(now), 'LIMIT', 0, whole(left))) do
        local at = score(keys[1], group)
        redis.call('ZREM', set, group)
        redis.call('ZREM', keys[1], group)
        found[#found + 1] = group
        found[#found + 1] = whole(at or now)
      end
    end
  end
  if probing and #found == 0 then
    local soonest
    for _, group in ipairs(redis.call('ZRANGE', keys[7], 0, LOOK_MAX - 1)) do
      local at = score(keys[1], group)
      if at and (not soonest or at < soonest) then
        found, soonest = {group, whole(at)}, at
      end
    end
  end
  return found
end

-- Lease groups that are due, as many as the channel's rate and window allow.
-- KEYS  due, leased, clock, rate, critical, warning, failing, alone
-- ARGV  now, limit, lease length, units of the rate or '', window length, how many may go out as one message
-- Returns {now, next time or '', token, whether those are to go out as one message, then (group, due time) flat}.
local function claim_groups(keys, args)
  local now, limit = clock(args[1]), tonumber(args[2])
  follow(keys[3], now, {keys[1], keys[2], keys[5], keys[6], keys[7]})
  local known = redis.call('HMGET', keys[3], 'pause', 'open')
  local resumes = math.max(tonumber(known[1] or '0'), tonumber(known[2] or '0'))
  if resumes > now then
    return {whole(now), whole(resumes), '0', '0'}
  end
  -- A channel that fails is tried with one message; the others wait for what comes of it.
  local probing = known[2]
  if probing then
    limit = math.min(limit, 1)
  end
  local left = window_left(keys[3], keys[2], now)
  limit = math.min(limit, left or limit)
  local units, per, sum, live = tonumber(args[4]), tonumber(args[5]), 0, {}
  if units then
    sum, live = in_window(keys[4], per, now)
    limit = room(sum, units, 1, limit)
  end
  local merged = (units or left) and not probing and together(keys, now, limit, tonumber(args[6]))
  local most = merged and tonumber(args[6]) or limit
  local token, found = lease(keys[1], keys[2], keys[3], now, most, tonumber(args[3]), function(more)
    return merged or most_urgent(keys, now, more, probing)
  end)
  if #found > 0 then
    redis.call('ZREM', keys[5], unpack(members(found)))
    redis.call('ZREM', keys[6], unpack(members(found)))
  end
  local wake = earliest(first(keys[1]), first(keys[2]))
  local charged = merged and 1 or #found / 2
  if left and charged == left then
    -- What is due waits until one of those on their way arrives. Whoever sends that looks again by then.
    wake = earliest(first(keys[2]), nil)
  end
  if probing and #found > 0 then
    -- As long as its lease: whoever dies with it leaves the next try to others.
    redis.call('HSET', keys[3], 'open', whole(token), 'prober', found[1])
    wake = whole(token)
  end
  if units and #found > 0 then
    put(keys[4], per, now, charged)
  end
  if units and limit == 0 and wake ~= '' then
    wake = whole(math.max(tonumber(wake), now + until_free(live, sum, units, 1, per, now)))
  end
  local reply = {whole(now), wake, whole(token), merged and '1' or '0'}
  for i = 1, #found, 2 do
    reply[#reply + 1] = found[i]
    reply[#reply + 1] = whole(tonumber(found[i + 1]))
  end
  return reply
end

-- Somebody may have mended the channel: no pause, and what waits for its next try is tried now, alone at first if
-- the channel fails.
local function mended(watch, due, critical, warning, failing, now)
  redis.call('HDEL', watch, 'pause', 'prober')
  if redis.call('HEXISTS', watch, 'open') == 1 then
    redis.call('HSET', watch, 'open', whole(now))
  else
    hurry(due, critical, warning, failing, now)
  end
end

-- KEYS  clock, due, critical, warning, failing
-- ARGV  now
local function try_now(keys, args)
  mended(keys[1], keys[2], keys[3], keys[4], keys[5], clock(args[1]))
  return 1
end

-- KEYS  health, clock, due, failing
-- ARGV  now
-- Returns {now, row, since, why, ok, dead, refused, pause, open, groups that wait}, '' for none.
local function channel_health(keys, args)
  local now = clock(args[1])
  local reply = {whole(now)}
  local told = redis.call('HMGET', keys[1], 'row', 'since', 'why', 'ok', 'dead', 'refused')
  local known = redis.call('HMGET', keys[2], 'pause', 'open')
  for i = 1, 6 do
    reply[#reply + 1] = told[i] or ''
  end
  for i = 1, 2 do
    reply[#reply + 1] = known[i] or ''
  end
  local waiting = redis.call('ZCOUNT', keys[3], '-inf', whole(now))
  for _, group in ipairs(redis.call('ZRANGE', keys[4], 0, LOOK_MAX - 1)) do
    local at = score(keys[3], group)
    waiting = waiting + (at and at > now and 1 or 0)
  end
  reply[#reply + 1] = whole(waiting)
  return reply
end

redis.register_function('bm_claim_groups', claim_groups)
redis.register_function('bm_try_now', try_now)
redis.register_function('bm_channel_health', channel_health)
