-- The record of a hold: what it was asked for, and what became of it. It outlives the hold, so that a repeat gets the
-- same answer.
--
-- state 1, '1' if it was told 1, '1' if an exposure was stated 1, amount 45, expires 16, then in a line each: reason,
-- account, asset as it was asked for, decimals, decision, asset, and once there is a debit: committed 45, committed at
-- 16, posted at 16. Times are 0 where there is none.

-- State letters, and the words for them.
local WORDS = {
  h = 'held', c = 'committed', s = 'settled', r = 'released', d = 'denied', t = 'tombstone', x = 'expired',
}

local LINES = '^' .. ('([^\n]*)\n'):rep(6) .. '(.*)$'

local function unpacked(text)
  if not text then
    return nil
  end
  local reason, account, asked, decimals, decision, asset, debit = text:match(LINES, 65)
  return {
    state = text:sub(1, 1), told = text:sub(2, 2), exposed = text:sub(3, 3), amount = text:sub(4, 48),
    expires = text:sub(49, 64), reason = reason, account = account, asked = asked, decimals = decimals,
    decision = decision, asset = asset, committed = debit:sub(1, 45), committed_at = debit:sub(46, 61),
    posted = debit:sub(62), text = text,
  }
end

local function written(record)
  return record.state .. record.told .. record.exposed .. record.amount .. record.expires .. record.reason .. '\n'
    .. record.account .. '\n' .. record.asked .. '\n' .. record.decimals .. '\n' .. record.decision .. '\n'
    .. record.asset .. '\n' .. record.committed .. record.committed_at .. record.posted
end

local function tombstone()
  return {
    state = 't', told = '0', exposed = '0', amount = NOTHING, expires = NEVER, reason = '', account = '', asked = '',
    decimals = '00', decision = '', asset = '', committed = '', committed_at = '', posted = '',
  }
end

-- Kept for so many milliseconds from now on.
local function keep(keys, record, ms)
  record.text = written(record)
  redis.call('SET', keys[6], record.text, 'PX', ms)
end

local function member_of_held(record, id)
  return record.amount .. id .. ' ' .. record.asset
end

-- Its amount is held from now on.
local function put_in(keys, wallet, record, id, account)
  local sums = wallet.sums[wallet.asset]
  sums.held, wallet.dirty = add(sums.held, record.amount), true
  count(sums, 1)
  if record.expires < wallet.expiry then
    wallet.expiry = record.expires
  end
  redis.call('ZADD', keys[2], record.expires, member_of_held(record, id))
  list(keys, wallet, account, record.expires)
end

-- Its amount is given back or becomes a debit.
local function take_out(keys, wallet, record, id)
  local sums = wallet.sums[wallet.asset]
  sums.held = sub(sums.held, record.amount)
  count(sums, -1)
  if record.expires <= wallet.expiry then
    wallet.expiry = NEVER
  end
  redis.call('ZREM', keys[2], member_of_held(record, id))
end

-- What was given back at its deadline stays so, also where the clock was set back to before it.
local function mark_gone(keys, record, wallet, id)
  if record and record.state == 'h' and record.expires > wallet.now_text then
    record.gone = not redis.call('ZSCORE', keys[2], member_of_held(record, id))
  end
end

local function is_open(record, wallet)
  return record.state == 'h' and record.expires > wallet.now_text and not record.gone
end

-- What a record says now: time goes on, and so does what is read of its wallet.
local function stage(record, wallet)
  if record.state == 'h' and not is_open(record, wallet) then
    return 'expired'
  end
  local booked = (record.state == 'c' or record.state == 's') and record.posted > NEVER
  if booked and wallet.fence and tonumber(record.posted) + lag(wallet) < wallet.fence then
    return 'covered'
  end
  return WORDS[record.state]
end
