-- What a poll tells the guard, within its commit.

-- Names with their network by name without it, so that `USDT` finds `USDT@TRX`; and how many there are.
-- One command writes no more fields and values than `most`.
local function know_names(key, most)
  local fields, names, count = {}, {}, 0
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if field:sub(1, 2) == 'b:' then
      redis.call('HDEL', key, field)
    elseif field:sub(1, 2) == 'f:' then
      count = count + 1
      local base = field:match('^f:(.-)@')
      if base then
        names[base] = names[base] or {}
        table.insert(names[base], field:sub(3))
      end
    end
  end
  for base, found in pairs(names) do
    table.sort(found)
    fields[#fields + 1] = 'b:' .. base
    fields[#fields + 1] = table.concat(found, '\n')
  end
  redis.call('HSET', key, 'n', whole(count))
  for i = 1, #fields, most do
    redis.call('HSET', key, unpack(fields, i, math.min(i + most - 1, #fields)))
  end
end

-- What this reading does not tell is not known any more.
local function forget_others(key, args, first, last)
  local told = {}
  for i = first, last, 2 do
    told[args[i]] = true
  end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if field:sub(1, 2) == 'f:' and not told[field] then
      redis.call('HDEL', key, field)
    end
  end
end

-- ARGV  from `from` on: when the request began, whether nothing else is known any more ('1' or '0'), whose money it is,
--       then (`f:` asset, what was read) up to `to`
-- An answer to a request that began earlier never replaces what is known, unless that is of a clock that was ahead.
local function feed(key, now, args, from, to)
  local known = redis.call('HMGET', key, 'at', 'n')
  local at, fence = known[1] and tonumber(known[1]:sub(1, 16)) or 0, tonumber(args[from])
  if fence <= at and at <= now then
    return
  end
  -- Lua unpacks no more than some thousand.
  local most = 2000
  local fresh = redis.call(
    'HSET', key, 'at', args[from] .. args[from + 2], unpack(args, from + 3, math.min(from + 2 + most, to))
  ) > 0
  for i = from + 3 + most, to, most do
    fresh = redis.call('HSET', key, unpack(args, i, math.min(i + most - 1, to))) > 0 or fresh
  end
  -- What was read of other money is not known of this.
  local other = known[1] and known[1]:sub(17) ~= args[from + 2]
  local others = other or (args[from + 1] == '1' and (fresh or known[2] ~= whole((to - from - 2) / 2)))
  if others then
    forget_others(key, args, from + 3, to)
  end
  if fresh or others then
    know_names(key, most)
  end
end
