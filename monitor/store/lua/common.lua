-- What every function shares. Times are microseconds since 1970: below 2^53, so doubles hold them exactly.

local SECOND = 1000000
local HOUR = 3600 * SECOND
-- A clock that goes back by more than this was set, not disciplined.
local STEP = 2 * SECOND
-- Leases given in one call: one command writes them all, and Lua unpacks no more than some thousand values.
local LEASES_MAX = 1000

-- Numbers are written with all their digits; tostring would round a version of sixteen.
local function whole(number)
  return string.format('%.0f', number)
end

-- The time: the server's, or the one a test gives.
local function clock(given)
  if given ~= '' then
    return tonumber(given)
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * SECOND + tonumber(time[2])
end

local function score(set, member)
  return tonumber(redis.call('ZSCORE', set, member) or nil)
end

-- The lowest score of a sorted set, or nil.
local function first(set)
  return tonumber(redis.call('ZRANGE', set, 0, 0, 'WITHSCORES')[2])
end

local function shift(set, step)
  local found = redis.call('ZRANGE', set, 0, -1, 'WITHSCORES')
  for i = 1, #found, 2 do
    redis.call('ZADD', set, whole(tonumber(found[i + 1]) - step), found[i])
  end
end

-- Follow a clock that was set back: everything planned moves with it, so nothing waits out the difference.
-- Returns the step, 0 when there was none.
local function follow(watch, now, sets)
  local seen = tonumber(redis.call('HGET', watch, 'seen') or '0')
  if now > seen + SECOND then
    redis.call('HSET', watch, 'seen', whole(now))
  elseif now < seen - STEP then
    local step = seen - now
    for _, set in ipairs(sets) do
      shift(set, step)
    end
    local fields = {'token', 'pause', 'open'}
    local given = redis.call('HMGET', watch, unpack(fields))
    for i, field in ipairs(fields) do
      if given[i] then
        redis.call('HSET', watch, field, whole(tonumber(given[i]) - step))
      end
    end
    redis.call('HSET', watch, 'seen', whole(now))
    return step
  end
  return 0
end

-- The members of a flat list of (member, score).
local function members(found)
  local names = {}
  for i = 1, #found, 2 do
    names[#names + 1] = found[i]
  end
  return names
end

-- Lease these, a flat list of (member, when it was due). A lease's end is the fencing token, larger than every token
-- given before. Returns the token, 0 for none.
local function grant(due, leased, watch, now, length, found)
  if #found == 0 then
    return 0
  end
  local given = tonumber(redis.call('HGET', watch, 'token') or '0')
  local token = math.max(now + length, given + 1)
  redis.call('HSET', watch, 'token', whole(token))
  local scored, names = {}, members(found)
  for i, name in ipairs(names) do
    scored[2 * i - 1] = whole(token)
    scored[2 * i] = name
  end
  redis.call('ZADD', leased, unpack(scored))
  redis.call('ZREM', due, unpack(names))
  return token
end

-- Lease what is due: expired leases first, then due ones, which `pick` (limit -> flat list) may choose. Returns the
-- token and a flat list of (member, when it was due).
local function lease(due, leased, watch, now, limit, length, pick)
  if limit <= 0 then
    return 0, {}
  end
  limit = math.min(limit, LEASES_MAX)
  local found = redis.call('ZRANGEBYSCORE', leased, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, whole(limit))
  -- Asked for during a lease that then expired, it is in both: one claim honours both.
  for i = 1, #found, 2 do
    redis.call('ZREM', due, found[i])
  end
  if #found < 2 * limit then
    local left = limit - #found / 2
    local more = pick and pick(left)
      or redis.call('ZRANGEBYSCORE', due, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, whole(left))
    for i = 1, #more do
      found[#found + 1] = more[i]
    end
  end
  return grant(due, leased, watch, now, length, found), found
end

-- The same text for a time out of a sorted set, or '' for none.
local function earliest(a, b)
  if a and b then
    return whole(math.min(a, b))
  end
  return (a or b) and whole(a or b) or ''
end
