-- Whether a bet may be placed, and holding its money.
--
-- ARGV  as for every call on a wallet, then asset, amount 45, greatest age, a reason to refuse that is known already or
--       '', '1' if the configuration names the asset, whose money it is or ''; to hold it also id of the hold, account,
--       decimals 2, ttl, decision, for how many milliseconds its record is kept, '1' or '0' if an exposure is stated,
--       '' where nobody looks at it; last of all the latest time 16 at which to decide

-- In the order in which they are looked for.
local RANK = {
  HOLD_TOMBSTONED = 1, ACCOUNT_UNKNOWN = 2, ASSET_UNKNOWN = 3, GUARD_CLOSED = 4, ACCOUNT_LOCKED = 5,
  SESSION_EXPIRED = 6, AMOUNT_BELOW_MIN = 7, AMOUNT_ABOVE_MAX = 8, TOO_MANY_HOLDS = 9, BALANCE_NEVER_SEEN = 10,
  STATE_QUARANTINED = 11, BALANCE_STALE = 12, INSUFFICIENT_FUNDS = 13, BANKROLL_INSUFFICIENT = 14, OK = 15,
}

-- What is read of a clock that is ahead is of no known age.
local function stale(wallet, most)
  local age = wallet.now - wallet.fence
  return age > most or age < -STEP
end

local function lacks(wallet, args)
  local held, unsettled = promised(wallet)
  local off = args[6]:sub(39) == 'subtract' and wallet.fed:sub(36, 80) or NOTHING
  return exceeds(wallet.fed:sub(81, 125), {held, unsettled, args[8], off})
end

-- The first reason that holds: the same facts always give the same one. What is known already has its place among them.
local function judge(wallet, args)
  local early, fed = args[10] ~= '' and args[10] or 'OK', wallet.fed
  local known = RANK[early]
  if known > 3 and not fed and wallet.read and args[11] == '0' then
    return 'ASSET_UNKNOWN'
  end
  if known > 5 and (wallet.locked or (fed and args[6]:sub(39) == 'deny' and fed:sub(35, 35) == '1')) then
    return 'ACCOUNT_LOCKED'
  end
  if known < 9 then
    return early
  end
  if wallet.sums[wallet.asset].holds >= args[6]:sub(33, 38) then
    return 'TOO_MANY_HOLDS'
  end
  if not fed then
    return 'BALANCE_NEVER_SEEN'
  end
  if quarantined(wallet) then
    return 'STATE_QUARANTINED'
  end
  if stale(wallet, tonumber(args[9])) then
    return 'BALANCE_STALE'
  end
  return lacks(wallet, args) and 'INSUFFICIENT_FUNDS' or early
end

-- The wallet that a question is about, and the reason; `names` is set where it is not known which wallet that is. No
-- reason where it is later than the caller takes for possible: the call was long on its way, or the clock was set
-- forward.
local function decide(keys, args, known, latest)
  local wallet = wallet_of(keys, args, known, args[7], true, args[12])
  if wallet.now_text > latest then
    return wallet, nil
  end
  if wallet.names then
    return wallet, 'ASSET_UNKNOWN'
  end
  tidy(keys, wallet)
  local reason = judge(wallet, args)
  if #wallet.swept == EXPIRED_MAX and (reason == 'TOO_MANY_HOLDS' or reason == 'INSUFFICIENT_FUNDS') then
    sweep(keys, wallet, REFUSED_MAX)
    reason = judge(wallet, args)
  end
  return wallet, reason
end

local function verdict(wallet, reason, flag, record)
  local held, unsettled = promised(wallet)
  return head(wallet) .. held .. unsettled .. reason .. '\n' .. flag .. '\n' .. wallet.asset .. '\n'
    .. (wallet.fed or '') .. '\n' .. (record and stage(record, wallet) .. '\n' .. record.text or wallet.names or '')
end

-- KEYS  as for every call on a wallet, without a record
-- Returns held 45, unsettled 45, then in a line each: reason, flag, asset, feed or '', and where there is one the state
-- of the hold and its record. The flag is 'networks', 'reused', 'replayed' or ''; with the first of these the names of
-- the asset are in the place of the hold. Only the head where it is too late to decide: nothing was done.
local function check(keys, args)
  local wallet, reason = decide(keys, args, beside(keys), args[13])
  if not reason then
    return head(wallet)
  end
  if wallet.names then
    return verdict(wallet, reason, 'networks')
  end
  if wallet.dirty then
    save(keys, wallet)
  end
  return verdict(wallet, reason, '')
end

-- The same answer to the same question; an allow only while there is something behind it.
local function replay(keys, args, known)
  local record = unpacked(known[2])
  if record.state == 't' then
    return verdict(wallet_of(keys, args, known, args[7], true), 'HOLD_TOMBSTONED', '', record)
  end
  local same = record.account == args[14] and record.amount == args[8]
    -- Else the house might refuse what is allowed already.
    and (args[19] == '' or args[19] == record.exposed)
  local wallet = wallet_of(keys, args, known, args[7], true, '')
  if not same or (record.asked ~= args[7] and record.asset ~= wallet.asset) then
    return verdict(wallet, 'HOLD_TOMBSTONED', 'reused', record)
  end
  if record.asset ~= wallet.asset and record.asset ~= wallet.before then
    wallet.names, wallet.before = false, false
    local more = redis.call('HMGET', keys[1], 'f:' .. record.asset, 's:' .. record.asset)
    open_asset(wallet, record.asset, more[1], more[2])
  end
  tidy(keys, wallet)
  if wallet.dirty then
    save(keys, wallet)
  end
  mark_gone(keys, record, wallet, args[13])
  local state = stage(record, wallet)
  if state == 'released' or state == 'expired' then
    return verdict(wallet, 'HOLD_TOMBSTONED', 'replayed', record)
  end
  if state == 'held' and record.told == '0' then
    record.told = '1'
    record.text = written(record)
    redis.call('SET', keys[6], record.text, 'KEEPTTL')
  end
  return verdict(wallet, state == 'denied' and record.reason or 'OK', 'replayed', record)
end

-- Returns what `check` does.
local function hold(keys, args)
  local known = beside(keys)
  if known[2] then
    return replay(keys, args, known)
  end
  local wallet, reason = decide(keys, args, known, args[20])
  if not reason then
    return head(wallet)
  end
  if wallet.names then
    return verdict(wallet, reason, 'networks')
  end
  local record = {
    state = 'd', told = '0', exposed = args[19] == '1' and '1' or '0', amount = args[8], expires = NEVER,
    reason = reason, account = args[14], asked = args[7], decimals = args[15], decision = args[17],
    asset = wallet.asset, committed = '', committed_at = '', posted = '',
  }
  if reason == 'OK' then
    record.state, record.reason, record.expires = 'h', '', fixed(wallet.now + tonumber(args[16]))
    put_in(keys, wallet, record, args[13], args[14])
  end
  if wallet.dirty then
    save(keys, wallet)
  end
  keep(keys, record, args[18])
  return verdict(wallet, reason, '', record)
end

redis.register_function('bm_guard_check', check)
redis.register_function('bm_guard_hold', hold)
