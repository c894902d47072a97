-- What becomes of a hold: its bet stands, is booked, or is rolled back.
--
-- ARGV  as for every call on a wallet, then id of the hold, account, for how many milliseconds its record is kept, then
--       what each function says
-- Each returns in a line each: outcome, '1' if it came too late for a debit that counts all the same, and where there
-- is one the state of the hold and its record.

-- Neither is a tombstone anything to book, nor what was denied.
local ENDED = {
  t = 'hold-already-released', r = 'hold-already-released', d = 'hold-unknown', x = 'hold-expired',
  c = 'hold-already-committed', s = 'hold-already-committed',
}

local function resolution(wallet, outcome, record, late)
  return head(wallet) .. outcome .. '\n' .. (late and '1' or '0') .. '\n'
    .. (record and stage(record, wallet) .. '\n' .. record.text or '')
end

-- The record and its wallet.
local function found(keys, args)
  local known = beside(keys)
  local record = unpacked(known[2])
  local wallet = wallet_of(keys, args, known, record and record.asset or '')
  mark_gone(keys, record, wallet, args[7])
  return record, wallet
end

local function member_of_debits(record, id)
  return record.committed_at .. record.committed .. id .. ' ' .. record.asset
end

-- When a debit counts as booked. No reading that is known contains what is told only now, although it may say that it
-- began later: where the clock was set back.
local function booked_at(wallet, us)
  return math.max(us, wallet.fence or 0)
end

-- A held amount becomes a debit, or a late one is one without having been held.
local function book(keys, args, record, wallet, state, amount, posted)
  local sums = wallet.sums[wallet.asset]
  posted = booked_at(wallet, posted)
  tidy(keys, wallet)
  if is_open(record, wallet) then
    take_out(keys, wallet, record, args[7])
  end
  sums.unsettled, sums.bound = add(sums.unsettled, amount), fixed(math.min(tonumber(sums.bound), posted))
  record.state, record.committed, record.committed_at = state, amount, wallet.now_text
  record.posted = posted < math.huge and fixed(posted) or NEVER
  redis.call('ZADD', keys[3], posted < math.huge and record.posted or '+inf', member_of_debits(record, args[7]))
  if wallet.listed == LATER then
    list(keys, wallet, args[8], wallet.now_text)
  end
  save(keys, wallet)
  keep(keys, record, args[9])
end

-- ARGV  amount 45 or '' for all of it, when its debit is booked at the latest, as a time after now, or ''
local function commit_hold(keys, args)
  local record, wallet = found(keys, args)
  if not record or not is_open(record, wallet) then
    local same = record and (record.state == 'c' or record.state == 's')
      and record.committed == (args[10] ~= '' and args[10] or record.amount)
    local ended = record and (ENDED[record.state] or 'hold-expired') or 'hold-unknown'
    return resolution(wallet, same and 'done' or ended, record)
  end
  local amount = args[10] ~= '' and args[10] or record.amount
  if amount > record.amount then
    return resolution(wallet, 'commit-exceeds-hold', record)
  end
  local posted = args[11] ~= '' and wallet.now + tonumber(args[11]) or math.huge
  book(keys, args, record, wallet, 'c', amount, posted)
  return resolution(wallet, 'done', record)
end

-- Its debit is booked as of now, or was before: whichever is said first was true.
local function settle_hold(keys, args)
  local record, wallet = found(keys, args)
  if not record or record.state == 't' or record.state == 'r' or record.state == 'd' then
    return resolution(wallet, record and ENDED[record.state] or 'hold-unknown', record)
  end
  if record.state == 'c' then
    local sums, booked = wallet.sums[wallet.asset], fixed(booked_at(wallet, wallet.now))
    record.state = 's'
    if record.posted == NEVER or booked < record.posted then
      record.posted = booked
      sums.bound = booked < sums.bound and booked or sums.bound
      -- Not if it is covered already.
      redis.call('ZADD', keys[3], 'XX', booked, member_of_debits(record, args[7]))
    end
    save(keys, wallet)
    keep(keys, record, args[9])
  elseif record.state == 'h' then
    book(keys, args, record, wallet, is_open(record, wallet) and 's' or 'x', record.amount, wallet.now)
  end
  local late = record.state == 'x'
  return resolution(wallet, late and 'hold-expired' or 'done', record, late)
end

-- Give back what is held.
local function let_go(keys, args, record, wallet, state, reason)
  sweep(keys, wallet, EXPIRED_MAX)
  take_out(keys, wallet, record, args[7])
  save(keys, wallet)
  record.state, record.reason = state, reason
  keep(keys, record, args[9])
end

local function leave_tombstone(keys, args)
  local record = tombstone()
  keep(keys, record, args[9])
  return record
end

local function release_hold(keys, args)
  local record, wallet = found(keys, args)
  if not record then
    return resolution(wallet, 'done', leave_tombstone(keys, args))
  end
  if is_open(record, wallet) then
    let_go(keys, args, record, wallet, 'r', '')
  end
  local taken = record.state == 'c' or record.state == 's'
  return resolution(wallet, taken and 'hold-already-committed' or 'done', record)
end

-- Undo what nobody was told of.
-- ARGV  decision that reserved it, reason
local function refuse_hold(keys, args)
  local record, wallet = found(keys, args)
  if not record then
    record = leave_tombstone(keys, args)
  elseif is_open(record, wallet) then
    if args[11] == 'BANKROLL_INSUFFICIENT' then
      let_go(keys, args, record, wallet, 'd', args[11])
    elseif args[10] == record.decision and record.told == '0' then
      let_go(keys, args, record, wallet, 'r', '')
    end
  end
  return resolution(wallet, 'done', record)
end

-- This id is another account's, or was released before it came: there never was anything here.
local function forget_hold(keys, args)
  local record, wallet = found(keys, args)
  -- The other account may live in this partition too: then the record is its.
  local ours = record and record.account == args[8]
  if ours and is_open(record, wallet) then
    let_go(keys, args, record, wallet, 'r', '')
  end
  if ours and (record.state == 'r' or record.state == 'd') then
    redis.call('DEL', keys[6])
  end
  return resolution(wallet, 'done', nil)
end

local function find_hold(keys, args)
  local record, wallet = found(keys, args)
  return resolution(wallet, 'done', record)
end

redis.register_function('bm_guard_commit', commit_hold)
redis.register_function('bm_guard_settle', settle_hold)
redis.register_function('bm_guard_release', release_hold)
redis.register_function('bm_guard_refuse', refuse_hold)
redis.register_function('bm_guard_forget', forget_hold)
redis.register_function('bm_guard_find', find_hold)
