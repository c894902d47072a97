-- Quotas shared by all processes: never more than so many units in any time of such a length.
--
-- Units are counted in buckets of a sixtieth of the window. A bucket counts until its last instant is a whole
-- window ago, so the count errs by at most a sixtieth of the window, towards too few.

local BUCKETS = 60

local function bucket_width(per)
  return math.max(1, math.ceil(per / BUCKETS))
end

-- What is in the window now: the sum, and a list of {bucket, units}, oldest first. Old buckets are deleted; those
-- in the future (the clock was set back) count as taken now.
local function in_window(key, per, now)
  local width = bucket_width(per)
  local current = math.floor(now / width)
  local found = redis.call('HGETALL', key)
  local live, sum = {}, 0
  for i = 1, #found, 2 do
    local bucket, units = tonumber(found[i]), tonumber(found[i + 1])
    if (bucket + 1) * width + per <= now then
      redis.call('HDEL', key, found[i])
    else
      if bucket > current then
        redis.call('HDEL', key, found[i])
        redis.call('HINCRBY', key, whole(current), whole(units))
        bucket = current
      end
      live[#live + 1] = {bucket, units}
      sum = sum + units
    end
  end
  table.sort(live, function(a, b) return a[1] < b[1] end)
  return sum, live
end

-- How long until `units` fit under `limit`. More than the limit fits when the window is empty.
local function until_free(live, sum, limit, units, per, now)
  local width = bucket_width(per)
  for _, one in ipairs(live) do
    sum = sum - one[2]
    if sum + units <= limit or sum <= 0 then
      return (one[1] + 1) * width + per - now
    end
  end
  return 0
end

local function room(sum, limit, cost, most)
  if cost > limit then
    return sum <= 0 and 1 or 0
  end
  return math.min(most, math.max(0, math.floor((limit - sum) / cost)))
end

local function put(key, per, now, units)
  redis.call('HINCRBY', key, whole(math.floor(now / bucket_width(per))), whole(units))
  redis.call('PEXPIRE', key, whole(math.ceil(per / 1000) * 2 + 1000))
end

-- KEYS  quota, then a window each
-- ARGV  now, cost, most, then pairs of (limit, window length)
-- Returns {times taken, wait}.
local function take(keys, args)
  local now, cost, times = clock(args[1]), tonumber(args[2]), tonumber(args[3])
  local state = redis.call('HMGET', keys[1], 'seen', 'block')
  local seen, block = tonumber(state[1] or '0'), tonumber(state[2] or '0')
  if now < seen - STEP and block > 0 then
    block = block - (seen - now)
    redis.call('HSET', keys[1], 'block', whole(block))
  end
  if now > seen + SECOND or now < seen - STEP then
    redis.call('HSET', keys[1], 'seen', whole(now))
  end
  local sums, lives = {}, {}
  for i = 2, #keys do
    -- While nobody may spend, too: a clock that was set back is followed as soon as it is seen.
    sums[i], lives[i] = in_window(keys[i], tonumber(args[2 * i + 1]), now)
  end
  if block > now then
    return {'0', whole(block - now)}
  end
  local wait, most = 0, times
  for i = 2, #keys do
    local limit, per = tonumber(args[2 * i]), tonumber(args[2 * i + 1])
    local sum, live = sums[i], lives[i]
    local fits = room(sum, limit, cost, most)
    times = math.min(times, fits)
    if fits == 0 then
      wait = math.max(wait, until_free(live, sum, limit, cost, per, now))
    end
  end
  if times > 0 then
    for i = 2, #keys do
      put(keys[i], tonumber(args[2 * i + 1]), now, times * cost)
    end
    wait = 0
  end
  return {whole(times), whole(wait)}
end

-- KEYS  the windows
-- ARGV  now, units, then pairs of (limit, window length)
local function give_back(keys, args)
  local now = clock(args[1])
  for i, key in ipairs(keys) do
    local _, live = in_window(key, tonumber(args[2 * i + 2]), now)
    local left = tonumber(args[2])
    for j = #live, 1, -1 do
      local back = math.min(left, live[j][2])
      if back > 0 then
        redis.call('HINCRBY', key, whole(live[j][1]), whole(-back))
        left = left - back
      end
    end
  end
  return 1
end

-- The provider counts for itself and says what is left. It is believed when that is less, for the window
-- in which we think the least is left: a number without a name most likely speaks of that one.
-- KEYS  the windows
-- ARGV  now, remaining, then pairs of (limit, window length)
local function correct(keys, args)
  local now, remaining = clock(args[1]), math.max(0, tonumber(args[2]))
  local tightest, least, length
  for i, key in ipairs(keys) do
    local limit, per = tonumber(args[2 * i + 1]), tonumber(args[2 * i + 2])
    local left = limit - in_window(key, per, now)
    if not least or left < least then
      tightest, least, length = key, left, per
    end
  end
  if least and least > remaining then
    put(tightest, length, now, least - remaining)
  end
  return 1
end

-- KEYS  quota
-- ARGV  now, wait
local function throttle(keys, args)
  local now = clock(args[1])
  local stands = tonumber(redis.call('HGET', keys[1], 'block') or '0')
  redis.call('HSET', keys[1], 'block', whole(math.max(stands, now + tonumber(args[2]))), 'seen', whole(now))
  return 1
end

-- Count what was spent already, whether or not there was room for it.
-- KEYS  the windows
-- ARGV  now, units, then pairs of (limit, window length)
local function charge(keys, args)
  local now = clock(args[1])
  for i, key in ipairs(keys) do
    put(key, tonumber(args[2 * i + 2]), now, tonumber(args[2]))
  end
  return 1
end

redis.register_function('bm_take', take)
redis.register_function('bm_charge', charge)
redis.register_function('bm_give_back', give_back)
redis.register_function('bm_correct', correct)
redis.register_function('bm_throttle', throttle)
