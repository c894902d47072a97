-- How a provider is doing, merged from the notes of all processes in any order.

-- KEYS  health
-- ARGV  noted at, good at, failing since, refused at ('' for none), why
local function note(keys, args)
  local stored = redis.call('HMGET', keys[1], 'noted', 'good', 'failing', 'refused', 'why')
  local function latest(a, b)
    return math.max(tonumber(a or '') or 0, tonumber(b or '') or 0)
  end
  local noted = latest(stored[1], args[1])
  local good = latest(stored[2], args[2])
  local refused = latest(stored[4], args[4])
  -- The first failure after the last good poll.
  local failing = 0
  for _, since in ipairs({stored[3] or '', args[3]}) do
    local at = tonumber(since) or 0
    if at > good and (failing == 0 or at < failing) then
      failing = at
    end
  end
  if refused <= good then
    refused = 0
  end
  local why = stored[5] or ''
  if args[5] ~= '' and tonumber(args[1]) >= (tonumber(stored[1] or '') or 0) then
    why = args[5]
  end
  if failing == 0 and refused == 0 then
    why = ''
  end
  local function text(at)
    return at > 0 and whole(at) or ''
  end
  redis.call('HSET', keys[1], 'noted', text(noted), 'good', text(good), 'failing', text(failing),
    'refused', text(refused), 'why', why)
  return 1
end

-- KEYS  health
-- ARGV  now
-- Returns {now, noted, good, failing, refused, why}, '' for none.
local function health(keys, args)
  local stored = redis.call('HMGET', keys[1], 'noted', 'good', 'failing', 'refused', 'why')
  local reply = {whole(clock(args[1]))}
  for i = 1, 5 do
    reply[i + 1] = stored[i] or ''
  end
  return reply
end

redis.register_function('bm_note', note)
redis.register_function('bm_health', health)
