-- What was sent and what became of it, and what every alert went through. All of it expires.

-- Attempts kept of one message, notifications of one alert, notifications of a channel that arrived, chapters of an
-- alert, dead letters of a channel.
local ATTEMPTS_MAX = 50
local ABOUT_MAX = 200
local SENT_MAX = 1000
local CHAPTERS_MAX = 200
local DEAD_MAX = 1000

-- A message that failed is not to be told any more as it was.
local function note_withdrawn(log)
  if redis.call('HEXISTS', log, 'head') == 1 then
    redis.call('HSET', log, 'state', 'replaced')
  end
end

-- A message is about to be tried: what it is, and what it replaces. Told once per message, not per attempt.
-- `keys` from `from` on: its log, the log of what it replaces (or its own), then of each of its alerts which
-- notifications told of it.
local function note_frozen(keys, from, now, id, head, keep)
  local log, replaced = keys[from], keys[from + 1]
  if replaced ~= log then
    note_withdrawn(replaced)
  end
  if head == '' then
    return
  end
  if redis.call('HSETNX', log, 'head', head) == 0 then
    redis.call('HSET', log, 'state', 'sending')
    return
  end
  redis.call('HSET', log, 'at', whole(now), 'state', 'sending')
  redis.call('EXPIRE', log, keep)
  for i = from + 2, #keys do
    if redis.call('ZADD', keys[i], whole(now), id) == 1 and redis.call('ZCARD', keys[i]) > ABOUT_MAX then
      redis.call('ZPOPMIN', keys[i])
    end
    redis.call('EXPIRE', keys[i], keep)
  end
end

-- How it went. `attempt` is '' where nothing was sent.
local function note_attempt(log, state, attempt, keep)
  if attempt == '' then
    return
  end
  local count = redis.call('HINCRBY', log, 'tried', 1)
  redis.call('HSET', log, 'state', state, 'try' .. count, attempt)
  if count > ATTEMPTS_MAX then
    redis.call('HDEL', log, 'try' .. (count - ATTEMPTS_MAX))
  end
  redis.call('EXPIRE', log, keep)
end

-- A dead letter; the oldest of too many goes.
local function keep_letter(dead, letters, now, id, letter)
  redis.call('ZADD', dead, whole(now), id)
  redis.call('HSET', letters, id, letter)
  while redis.call('ZCARD', dead) > DEAD_MAX do
    redis.call('HDEL', letters, redis.call('ZPOPMIN', dead)[1])
  end
end

-- A dead letter that told of an alert has arrived after all: the group it came from need not begin again with it.
-- KEYS  open
-- ARGV  pairs of (fingerprint, alert)
local function heard(keys, args)
  for i = 1, #args, 2 do
    local told = redis.call('HGET', keys[1], args[i])
    if told and cjson.decode(told).entry.id == args[i + 1] then
      -- No text within quotes can look like this, its own quotes are escaped; and what it becomes is as it was written.
      redis.call('HSET', keys[1], args[i], (string.gsub(told, '"heard":false', '"heard":true')))
    end
  end
  return 1
end

-- One more chapter of an alert's story. Of too many the oldest but two go: they say how it began.
-- Each is stored as `<version> <time> <chapter>`.
local function tell_story(story, version, now, chapter, keep)
  if redis.call('RPUSH', story, version .. ' ' .. whole(now) .. ' ' .. chapter) > CHAPTERS_MAX then
    redis.call('LSET', story, 2, '')
    redis.call('LREM', story, 1, '')
  end
  redis.call('EXPIRE', story, keep)
end

redis.register_function('bm_heard', heard)
