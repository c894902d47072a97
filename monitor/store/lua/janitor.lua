-- What nobody touches: quiet wallets, wallets of accounts that are gone, and partitions that have lost holds.

-- Accounts looked at in one call, and debits told of each.
local LOOKS_MAX, DEBITS_MAX = 100, 20

-- Where nobody has bet yet it is known whose life this is: the very first bet may be lost together with all who knew of
-- it. Until that can matter no more none is taken after another life began, which people are told once one is refused.
local function await_first(guard, text, args, now)
  text = text or NEVER:rep(4)
  local another, cost = reborn(text:sub(65), args, now)
  if another then
    local bound = math.max(tonumber(text:sub(33, 48)), cost and now + tonumber(args[6]:sub(1, 16)) or 0)
    redis.call('SET', guard, text:sub(1, 32) .. fixed(bound) .. text:sub(49, 64) .. args[2])
  end
end

-- Also that holds may have been lost is noticed where nobody bets any more.
-- KEYS  guard, tending, left
-- ARGV  as for every call on a wallet, without a version, then before when an account must have gone
-- Returns {now, mark, until when the partition is quarantined or '', '1' if its clock was set forward, accounts to look
-- at, accounts that are gone}.
local function due(keys, args)
  local now, text = clock(args[1]), redis.call('GET', keys[1])
  local known = {now = now, now_text = whole(now), version = NEVER, mark = NEVER, bound = NEVER}
  if tonumber(args[5]) > 0 or (text and text:sub(1, 16) > NEVER) then
    text = vouch(keys[1], text, nil, args, known)
  else
    await_first(keys[1], text, args, now)
  end
  return {
    known.now_text, known.mark, known.bound > known.now_text and known.bound or '',
    text and text:sub(49, 64) == known.mark and '1' or '0',
    redis.call('ZRANGEBYSCORE', keys[2], '-inf', whole(now), 'LIMIT', 0, LOOKS_MAX),
    redis.call('ZRANGEBYSCORE', keys[3], '-inf', whole(now - tonumber(args[7])), 'LIMIT', 0, LOOKS_MAX),
  }
end

-- Strike off what is covered, of every asset that has debits.
local function cover_all(keys, wallet)
  local looked = {}
  for _, member in ipairs(redis.call('ZRANGE', keys[3], 0, COVERED_MAX - 1)) do
    local asset = asset_of(member)
    if not looked[asset] and #(wallet.struck or {}) < 4 * COVERED_MAX then
      looked[asset] = true
      local got = redis.call('HMGET', keys[1], 'f:' .. asset, 's:' .. asset, 'b:' .. asset)
      -- Its network was told since.
      local fed = got[1] or (got[3] and redis.call('HGET', keys[1], 'f:' .. got[3]))
      open_asset(wallet, asset, fed, got[2])
      cover(keys, wallet)
    end
  end
end

-- The debits left that are booked at `from` or later and were committed before then, as (member, score) flat; and when
-- the first of all was.
local function old_debits(keys, from, before)
  local found, oldest, told = {}, nil, {}
  for _, first_at in ipairs({from, '+inf'}) do
    local some = redis.call('ZRANGEBYSCORE', keys[3], first_at, '+inf', 'WITHSCORES', 'LIMIT', 0, DEBITS_MAX)
    for i = 1, #some, 2 do
      local committed = tonumber(some[i]:sub(1, 16))
      oldest = math.min(oldest or committed, committed)
      if committed < before and not told[some[i]] then
        found[#found + 1] = some[i]
        found[#found + 1] = some[i + 1]
        told[some[i]] = true
      end
    end
  end
  return found, oldest
end

-- From when on debits are in doubt. Those of an account that is gone are shown by the first reading there is, should it
-- come back, once they are booked for so long that none can trail them.
local function in_doubt(keys, wallet, account)
  return score(keys[6], account) and whole(wallet.now - lag(wallet)) or '-inf'
end

-- Look again when the next hold expires or the oldest debit is too old; at once, while that lasts.
local function list_again(keys, wallet, account, at)
  if at == wallet.listed then
    return
  end
  if at < LATER then
    redis.call('ZADD', keys[4], at, account)
  else
    redis.call('ZREM', keys[4], account)
  end
  wallet.listed = at
  redis.call('HSET', keys[1], 'v', version_text(wallet))
end

-- KEYS  as for every call on a wallet, left
-- ARGV  as for every call on a wallet, then account, how old an unsettled debit may be
-- Returns {head, debits older than that as (member, score) flat}.
local function tend(keys, args)
  local wallet, age = wallet_of(keys, args, beside(keys), ''), tonumber(args[8])
  wallet.sums = {}
  sweep(keys, wallet, REFUSED_MAX)
  cover_all(keys, wallet)
  if wallet.dirty then
    save(keys, wallet)
  end
  local found, oldest = old_debits(keys, in_doubt(keys, wallet, args[7]), wallet.now - age)
  local at = oldest and fixed(math.max(oldest + age, wallet.now)) or LATER
  list_again(keys, wallet, args[7], at < wallet.expiry and at or wallet.expiry)
  return {head(wallet), found}
end

-- Whether wallets of an account that is gone hold, owe or lock something, or did lately.
local function of_use(keys, args, wallet, gone)
  local owed = redis.call('ZCOUNT', keys[3], in_doubt(keys, wallet, args[7]), '+inf')
  if owed > 0 or redis.call('EXISTS', keys[2]) == 1 then
    return true
  end
  local all = redis.call('HGETALL', keys[1])
  for i = 1, #all, 2 do
    if all[i]:sub(1, 2) == 'l:' and binds(all[i + 1], wallet.now) then
      return true
    end
  end
  return wallet.now - math.max(tonumber(wallet.version), gone) <= tonumber(args[8])
end

-- Forget the wallets of an account that is gone, unless it is back. Those still of use are looked at as long after
-- this: at once, they would stand before all others for ever.
-- KEYS  as for every call on a wallet, left
-- ARGV  as for every call on a wallet, then account, how long ago it must have gone
local function forget(keys, args)
  local wallet, gone = wallet_of(keys, args, beside(keys), ''), score(keys[6], args[7])
  if not gone or (wallet.read and tonumber(wallet.read:sub(1, 16)) > gone) then
    redis.call('ZREM', keys[6], args[7])
  elseif of_use(keys, args, wallet, gone) then
    redis.call('ZADD', keys[6], whole(wallet.now), args[7])
  else
    redis.call('DEL', keys[1], keys[3])
    redis.call('ZREM', keys[4], args[7])
    redis.call('ZREM', keys[6], args[7])
  end
  return head(wallet)
end

-- Holds may have been lost, or the clock was set forward: no new ones for so long.
-- KEYS  guard
-- ARGV  now, how long, '1' if the clock was set forward
-- Returns until when.
local function quarantine(keys, args)
  local text = redis.call('GET', keys[1]) or NEVER:rep(4)
  text = confine(keys[1], text, clock(args[1]), tonumber(text:sub(1, 16)), tonumber(args[2]), args[3] == '1')
  return text:sub(33, 48)
end

-- Say again what this process holds, as its record was; nothing happens where that is known.
-- ARGV  as for every call on a wallet, then id of the hold, account, for how many milliseconds its record is kept
--       after its deadline, record
local function assert_hold(keys, args)
  local record = unpacked(args[10])
  local known = beside(keys)
  local wallet = wallet_of(keys, args, known, record.asset)
  if record.expires > wallet.now_text and not known[2] then
    put_in(keys, wallet, record, args[7], args[8])
    save(keys, wallet)
    keep(keys, record, whole(tonumber(args[9]) + math.ceil((tonumber(record.expires) - wallet.now) / 1000)))
  end
  return head(wallet)
end

redis.register_function('bm_guard_due', due)
redis.register_function('bm_guard_tend', tend)
redis.register_function('bm_guard_leave', forget)
redis.register_function('bm_guard_quarantine', quarantine)
redis.register_function('bm_guard_assert', assert_hold)
