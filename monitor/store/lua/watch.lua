-- Accounts made at run time. Everything in one slot, but for what `erase` removes.
--
-- The keys come in this order: 1 watches, 2 ends, 3 changes, 4 ended, 5 forget, 6 clock, 7 wallets, 8 stands, 9 last,
-- 10 left.
-- A watch is stored as `<provider> <settings>`, one that is over as `<reason> <provider>`.

-- How many that are over are remembered; of more the first to be forgotten go early.
local OVER_MAX = 500000
-- Watches ended in one call, and wallets forgotten.
local EXPIRED_MAX = 200

-- The time. Where the clock was set back what is planned moves with it, so everybody reads everything again.
local function watch_time(keys, given)
  local now = clock(given)
  if follow(keys[6], now, {keys[2], keys[5], keys[10]}) ~= 0 then
    redis.call('HDEL', keys[6], 'life')
  end
  redis.call('HSETNX', keys[6], 'life', whole(now))
  return now
end

-- Note that something has changed. Numbers rise, also after a failover that lost some.
local function note_watch(keys, account, now)
  local number = whole(math.max(tonumber(redis.call('HGET', keys[6], 'change') or '0') + 1, now))
  redis.call('HSET', keys[6], 'change', number)
  redis.call('ZADD', keys[3], number, account)
  return number
end

-- The wallet that an account stands for, and how long to remember that it did.
local function wallet_stood_for(keys, account)
  local length, wallet = string.match(redis.call('HGET', keys[8], account) or '', '^(%d+) (.*)$')
  return wallet, length
end

-- An account stands for its wallet no more. Its money may be held or owed under that name for a while.
local function leave_wallet(keys, account, now)
  local wallet, length = wallet_stood_for(keys, account)
  if wallet then
    redis.call('HDEL', keys[8], account)
    redis.call('ZADD', keys[10], whole(now + tonumber(length)), wallet)
  end
  for _, over in ipairs(redis.call('ZRANGEBYSCORE', keys[10], '-inf', whole(now), 'LIMIT', 0, EXPIRED_MAX)) do
    redis.call('HDEL', keys[9], over)
    redis.call('ZREM', keys[10], over)
  end
end

-- End a watch, or say otherwise why it ended. Returns {provider, number}.
local function end_watch(keys, account, provider, reason, now, kept)
  leave_wallet(keys, account, now)
  redis.call('HDEL', keys[1], account)
  redis.call('ZREM', keys[2], account)
  redis.call('HSET', keys[4], account, reason .. ' ' .. provider)
  redis.call('ZADD', keys[5], whole(now + kept), account)
  return {provider, note_watch(keys, account, now)}
end

local function provider_of(value)
  return string.match(value, '^(%S+) ')
end

-- End a watch that has lasted long enough.
local function end_in_time(keys, account, now, kept)
  local known, ends = redis.call('HGET', keys[1], account), score(keys[2], account)
  if known and ends and ends <= now then
    end_watch(keys, account, provider_of(known), 'watch_expired', now, kept)
  end
end

-- Who stood for this wallet last, under another name, and does not any more.
local function former(keys, wallet, account, now, kept)
  local last = redis.call('HGET', keys[9], wallet)
  if last and last ~= account then
    end_in_time(keys, last, now, kept)
    return wallet_stood_for(keys, last) ~= wallet and last
  end
end

-- Watch an account, or watch it otherwise; not where another may have come to stand for its wallet since the caller has
-- read what changed. It is remembered for a minute who came: whoever has read nothing for longer is to read first.
-- ARGV  now, account, provider, settings, for how long or '', how many there may be, how long an end is remembered,
--       wallet or '', life and number of what the caller has read, how long to remember who stood for the wallet, who
--       did and owes nothing of its money or ''
-- Returns {'created', 'changed', 'full' or 'contested', number, end or '', provider before or ''}, or {'former', who stood
-- for the wallet last, for how long not any more}.
local function watch(keys, args)
  local now, account, value = watch_time(keys, args[1]), args[2], args[3] .. ' ' .. args[4]
  end_in_time(keys, account, now, tonumber(args[7]))
  local known, ends = redis.call('HGET', keys[1], account), score(keys[2], account)
  if not known and redis.call('HLEN', keys[1]) >= tonumber(args[6]) then
    return {'full'}
  end
  local before = known and provider_of(known) or ''
  if known == value and args[5] == '' and not ends then
    return {'changed', whole(score(keys[3], account)), '', before}
  end
  local wallet, oldest = args[8], now - 60000000
  if wallet ~= '' and known ~= value then
    local state, seen = redis.call('HMGET', keys[6], 'life', 'change'), tonumber(args[10])
    local news = tonumber(state[2] or '0') > seen
    if state[1] ~= args[9] or (news and (seen < oldest or (score(keys[7], wallet) or 0) > seen)) then
      return {'contested'}
    end
    local last = former(keys, wallet, account, now, tonumber(args[7]))
    if last and last ~= args[12] then
      return {'former', last, whole(math.max(0, now - (score(keys[3], last) or 0)))}
    end
  end
  local at = args[5] ~= '' and whole(now + tonumber(args[5])) or ''
  redis.call('HSET', keys[1], account, value)
  if at ~= '' then
    redis.call('ZADD', keys[2], at, account)
  else
    redis.call('ZREM', keys[2], account)
  end
  redis.call('HDEL', keys[4], account)
  redis.call('ZREM', keys[5], account)
  local number = note_watch(keys, account, now)
  if known ~= value and wallet_stood_for(keys, account) ~= wallet then
    leave_wallet(keys, account, now)
  end
  if wallet ~= '' and known ~= value then
    redis.call('HSET', keys[8], account, args[11] .. ' ' .. wallet)
    redis.call('HSET', keys[9], wallet, account)
    redis.call('ZREM', keys[10], wallet)
    redis.call('ZADD', keys[7], number, wallet)
    redis.call('ZREMRANGEBYSCORE', keys[7], '-inf', '(' .. whole(oldest))
  end
  return {known and 'changed' or 'created', number, at, before}
end

-- ARGV  now, account, reason, how long that is remembered
-- Returns {provider, number}, or {} where there is no such watch.
local function unwatch(keys, args)
  local now, account = watch_time(keys, args[1]), args[2]
  local known = redis.call('HGET', keys[1], account)
  if not known then
    return {}
  end
  return end_watch(keys, account, provider_of(known), args[3], now, tonumber(args[4]))
end

-- These accounts are configured: whatever was watched under their names is not any more.
-- ARGV  now, how long that is remembered, accounts
-- Returns those that were watched until now.
local function yield(keys, args)
  local now, found = watch_time(keys, args[1]), {}
  for i = 3, #args do
    local known, over = redis.call('HGET', keys[1], args[i]), redis.call('HGET', keys[4], args[i])
    if known then
      found[#found + 1] = args[i]
    end
    if known or over then
      local provider = known and provider_of(known) or string.match(over, ' (.*)$')
      end_watch(keys, args[i], provider, 'account_configured', now, tonumber(args[2]))
    end
  end
  return found
end

-- What is known of an account: {number, watch or '', end or '', how it ended or ''}.
local function about(keys, account)
  local ends, number = score(keys[2], account), score(keys[3], account)
  return {
    number and whole(number) or '0',
    redis.call('HGET', keys[1], account) or '',
    ends and whole(ends) or '',
    redis.call('HGET', keys[4], account) or '',
  }
end

-- End what has lasted long enough, and tell what has changed since a place.
-- ARGV  now, life, number, limit, how long what is over is remembered
-- Returns {now, life, number, watches, '1' if there is more, '1' if this begins anew, number of watches ended now,
-- then (account, provider, number) of these, then (account, number, watch or '', end or '', how it ended or '')}.
local function watch_news(keys, args)
  local now = watch_time(keys, args[1])
  local over = redis.call('ZRANGEBYSCORE', keys[2], '-inf', whole(now), 'LIMIT', 0, EXPIRED_MAX)
  local expired = {}
  for _, account in ipairs(over) do
    local provider = provider_of(redis.call('HGET', keys[1], account))
    local ended = end_watch(keys, account, provider, 'watch_expired', now, tonumber(args[5]))
    expired[#expired + 1] = account
    expired[#expired + 1] = ended[1]
    expired[#expired + 1] = ended[2]
  end
  local state = redis.call('HMGET', keys[6], 'life', 'change')
  local last, since, limit = tonumber(state[2] or '0'), tonumber(args[3]), tonumber(args[4])
  local anew = state[1] ~= args[2] or since > last
  if anew then
    since = 0
  end
  local changes = redis.call('ZRANGEBYSCORE', keys[3], '(' .. whole(since), '+inf', 'WITHSCORES', 'LIMIT', 0, args[4])
  local full = #changes == 2 * limit
  local place = full and changes[#changes] or whole(last)
  local more = full or #over == EXPIRED_MAX
  local reply = {
    whole(now), state[1], whole(tonumber(place)), whole(redis.call('HLEN', keys[1])),
    more and '1' or '0', anew and '1' or '0', whole(#over),
  }
  for _, text in ipairs(expired) do
    reply[#reply + 1] = text
  end
  for i = 1, #changes, 2 do
    reply[#reply + 1] = changes[i]
    for _, text in ipairs(about(keys, changes[i])) do
      reply[#reply + 1] = text
    end
  end
  return reply
end

-- One account as it is now, also where nobody has ended yet what has lasted long enough.
-- ARGV  now, account
local function find_watch(keys, args)
  local now, found = watch_time(keys, args[1]), about(keys, args[2])
  if found[2] ~= '' and found[3] ~= '' and tonumber(found[3]) <= now then
    return {found[1], '', '', 'watch_expired ' .. provider_of(found[2])}
  end
  return found
end

-- What is over and need not be remembered any more.
-- ARGV  now, limit
-- Returns (account, number, how it ended) flat.
local function over_watches(keys, args)
  local now = watch_time(keys, args[1])
  local top = redis.call('ZCARD', keys[5]) > OVER_MAX and '+inf' or whole(now)
  local reply = {}
  for _, account in ipairs(redis.call('ZRANGEBYSCORE', keys[5], '-inf', top, 'LIMIT', 0, args[2])) do
    local found = about(keys, account)
    reply[#reply + 1] = account
    reply[#reply + 1] = found[1]
    reply[#reply + 1] = found[4]
  end
  return reply
end

-- Forget what is over, unless it has begun again; or later, where it cannot be forgotten yet.
-- ARGV  now, account, number, wait or ''
local function forget_watch(keys, args)
  local now, account = watch_time(keys, args[1]), args[2]
  if redis.call('HEXISTS', keys[4], account) == 0 or score(keys[3], account) ~= tonumber(args[3]) then
    return 0
  end
  if args[4] ~= '' then
    redis.call('ZADD', keys[5], whole(now + tonumber(args[4])), account)
    return 0
  end
  redis.call('HDEL', keys[4], account)
  redis.call('ZREM', keys[5], account)
  redis.call('ZREM', keys[3], account)
  return 1
end

-- Remove all that is known of an account, in its partition; not where it was polled since, still has alerts, or owes news
-- of them. Its wallets are the guard's: they may be locked, or have debits.
-- KEYS  record, last, open, outbox, changed, seen, then keys that go with it
-- ARGV  account, version of the record
-- Returns 1, or 0 when nothing was removed.
local function erase(keys, args)
  local busy = redis.call('EXISTS', keys[4]) == 1 or redis.call('SISMEMBER', keys[3], args[1]) == 1
  if busy or (redis.call('HGET', keys[1], 'v') or '0') ~= args[2] then
    return 0
  end
  redis.call('HDEL', keys[2], args[1])
  redis.call('ZREM', keys[5], args[1])
  redis.call('ZREM', keys[6], args[1])
  redis.call('DEL', keys[1])
  for i = 7, #keys do
    redis.call('DEL', keys[i])
  end
  return 1
end

redis.register_function('bm_watch', watch)
redis.register_function('bm_unwatch', unwatch)
redis.register_function('bm_yield_watches', yield)
redis.register_function('bm_watch_news', watch_news)
redis.register_function('bm_find_watch', find_watch)
redis.register_function('bm_over_watches', over_watches)
redis.register_function('bm_forget_watch', forget_watch)
redis.register_function('bm_erase', erase)
