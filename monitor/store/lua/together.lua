-- Which groups go out as one message, where far more are due than a channel takes. See digest.lua for what becomes of
-- them.

-- As many wait their turn. More are told together.
local TOGETHER_FROM = 20

-- The due groups that go out as one message besides those whose lease has ended, the most urgent first; nil when each
-- goes by itself: where few wait, or the first is one that must.
-- `keys` as claim_groups takes them; `limit` messages may go now, `most` groups make one.
local function together(keys, now, limit, most)
  if limit <= 0 or most <= 1 then
    return nil
  end
  local ended = redis.call('ZRANGEBYSCORE', keys[2], '-inf', whole(now), 'LIMIT', 0, most)
  if redis.call('ZCOUNT', keys[1], '-inf', whole(now)) + #ended - limit <= TOGETHER_FROM then
    return nil
  end
  for _, group in ipairs(ended) do
    if redis.call('SISMEMBER', keys[8], group) == 1 then
      return nil
    end
  end
  local found, seen, first_one = {}, {}, #ended == 0
  for _, set in ipairs({keys[5], keys[6], keys[1]}) do
    for _, group in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', whole(now), 'LIMIT', 0, most)) do
      if not seen[group] and #found / 2 + #ended < most then
        local alone = redis.call('SISMEMBER', keys[8], group) == 1
        if alone and first_one then
          return nil
        elseif not alone then
          found[#found + 1] = group
          found[#found + 1] = whole(score(keys[1], group) or now)
        end
        seen[group], first_one = true, false
      end
    end
  end
  return found
end
