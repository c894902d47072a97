-- News that nobody could be told for long. What one alert went through is told as how it is by now (engine/fold.py), so
-- most of the way there need not be kept: a channel that stays down must not collect it without end.

-- News of a group, from which on those that will not be told are dropped.
local FOLD_AT = 1000
-- Items read in one command: Lua unpacks no more than some thousand values.
local CHUNK = 1000

local function chunks(names, use)
  for from = 1, #names, CHUNK do
    use(unpack(names, from, math.min(from + CHUNK - 1, #names)))
  end
end

-- The news of a group, oldest first: a list of {key, what, episode, alert}, the key alone of events and of what cannot
-- be read here.
local function read_news(keys, names)
  local read = {}
  chunks(names, function(...)
    for i, text in ipairs(redis.call('HMGET', keys[3], ...)) do
      -- No text within quotes can look like this: its own quotes are escaped.
      local news, episode, alert =
        string.match(text or '', '"news":"(%a+)","entry":{"id":"([^"]*)","fingerprint":"([^"]*)"')
      if not news or news == 'event' then
        news = nil
      end
      read[#read + 1] = {(select(i, ...)), news, episode, alert}
    end
  end)
  return read
end

-- Of each alert are kept its first episode, which the channel may know of, and its last two; of each of them the last
-- news of each kind. Returns the keys kept and those dropped, oldest first.
local function worth_telling(read)
  local begun, met, seen, kept, dropped = {}, {}, {}, {}, {}
  for _, one in ipairs(read) do
    if one[2] and not begun[one[4]] then
      begun[one[4]] = one[3]
    end
  end
  for i = #read, 1, -1 do
    local key, news, episode, alert = unpack(read[i], 1, 4)
    local keep = not news
    if news then
      met[alert] = met[alert] or {count = 0}
      if not met[alert][episode] then
        met[alert][episode] = met[alert].count
        met[alert].count = met[alert].count + 1
      end
      local name = news .. ' ' .. episode .. ' ' .. alert
      keep = (met[alert][episode] < 2 or begun[alert] == episode) and not seen[name]
      seen[name] = true
    end
    table.insert(keep and kept or dropped, key)
  end
  local oldest_first = {}
  for i = #kept, 1, -1 do
    oldest_first[#oldest_first + 1] = kept[i]
  end
  return oldest_first, dropped
end

-- Drop what will not be told. Not of a group that is leased: its holder has read what may be dropped here.
-- KEYS  of a group (see group.lua)
local function fold_news(keys)
  local length = redis.call('LLEN', keys[2])
  if length < FOLD_AT or length < tonumber(redis.call('HGET', keys[1], 'fold') or '0') then
    return
  end
  local kept, dropped = worth_telling(read_news(keys, redis.call('LRANGE', keys[2], 0, -1)))
  if #dropped > 0 then
    redis.call('DEL', keys[2])
    chunks(kept, function(...) redis.call('RPUSH', keys[2], ...) end)
    chunks(dropped, function(...) redis.call('HDEL', keys[3], ...) end)
    weigh(keys)
  end
  -- All of them are read: not again before there are twice as many.
  redis.call('HSET', keys[1], 'fold', whole(2 * #kept))
end
