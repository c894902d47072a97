-- How many messages of a channel may be on their way at a time, over all processes: no limit, until its destination asks
-- for a pause. After that a single one is tried, and every one that arrives makes room for one more.
--
-- `window` in the channel's clock is that number; it is absent where there is no limit.

-- As many at a time need no limit any more: what one process sends at once.
local WINDOW_MAX = 20

local function narrow(watch)
  redis.call('HSET', watch, 'window', '1')
end

-- One more has arrived.
local function widen(watch)
  if redis.call('HEXISTS', watch, 'window') == 1 and redis.call('HINCRBY', watch, 'window', 1) >= WINDOW_MAX then
    redis.call('HDEL', watch, 'window')
  end
end

-- How many more messages may go on their way now; nil where there is no limit.
local function window_left(watch, leased, now)
  local window = tonumber(redis.call('HGET', watch, 'window') or nil)
  return window and math.max(0, window - redis.call('ZCOUNT', leased, '(' .. whole(now), '+inf'))
end
