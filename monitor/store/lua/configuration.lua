-- Which configuration is the newest, and who runs which. Everything in one slot.

-- Say that a process runs a configuration, and learn how that stands among the others. Whoever has just started or
-- was reloaded (it has no generation yet) with another configuration than the newest takes the next generation;
-- so does, later, whoever runs an older one while nobody runs the newest any more. What the store has lost is
-- restored by whoever remembers the most, and no generation is as low as one that records were found to have.
--
-- KEYS  newest, running
-- ARGV  now, process, digest, generation it has or 0, the highest it met in a record, how long a silent one counts
-- Returns {generation of the newest, '1' if that is this configuration, '1' if nobody runs another one, '1' if this
-- process was silent for so long that others took it for gone}.
local function enter(keys, args)
  local now, digest, mine, met, patience = clock(args[1]), args[3], tonumber(args[4]), tonumber(args[5]), tonumber(args[6])
  local running, others = redis.call('HGETALL', keys[2]), {}
  local alone, missed = '1', mine > 0 and '1' or '0'
  for i = 1, #running, 2 do
    local at, theirs = string.match(running[i + 1], '^(%d+) (.*)$')
    local counts = at and math.abs(now - tonumber(at)) <= patience
    if running[i] == args[2] then
      missed = counts and '0' or missed
    else
      if counts then
        others[theirs] = true
        alone = theirs ~= digest and '0' or alone
      else
        redis.call('HDEL', keys[2], running[i])
      end
    end
  end
  redis.call('HSET', keys[2], args[2], whole(now) .. ' ' .. digest)

  local stored = redis.call('HMGET', keys[1], 'generation', 'digest')
  local newest, theirs = tonumber(stored[1] or '0'), stored[2] or ''
  if newest < mine then
    newest, theirs = mine, digest
  elseif theirs ~= digest and (mine == 0 or not others[theirs]) then
    newest, theirs = newest + 1, digest
  end
  if theirs ~= digest then
    return {whole(newest), '0', alone, missed}
  end
  if newest < met then
    newest = met + 1
  end
  redis.call('HSET', keys[1], 'generation', whole(newest), 'digest', digest)
  return {whole(newest), '1', alone, missed}
end

redis.register_function('bm_enter', enter)
