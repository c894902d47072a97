-- The record of a hold: what it was asked for, and what became of it. It outlives the hold, so that a repeat gets the
-- same answer.
--
-- state 1, told (1) and exposed (2) 1, amount 45, decimals 2, expires 16, committed 45, committed at 16,
-- posted at 16, four lengths of 4; then decision, reason, account, asset as it was asked for, asset. Times are 0 where
-- there is none.

-- State letters, and the words for them.
local WORDS = {
  h = 'held', c = 'committed', s = 'settled', r = 'released', d = 'denied', t = 'tombstone', x = 'expired',
}

local function unpacked(text)
  if not text then
    return nil
  end
  local at, texts, flags = 159, {}, tonumber(text:sub(2, 2))
  for i = 1, 4 do
    local length = tonumber(text:sub(139 + 4 * i, 142 + 4 * i))
    texts[i] = text:sub(at, at + length - 1)
    at = at + length
  end
  return {
    state = text:sub(1, 1), told = flags % 2 == 1, exposed = flags >= 2, amount = text:sub(3, 47),
    decimals = text:sub(48, 49),
    expires = tonumber(text:sub(50, 65)), committed = text:sub(66, 110), committed_at = tonumber(text:sub(111, 126)),
    posted = tonumber(text:sub(127, 142)), decision = texts[1], reason = texts[2], account = texts[3],
    written = texts[4], asset = text:sub(at), text = text,
  }
end

local function written(record)
  local decision, reason, account, asked = record.decision, record.reason, record.account, record.written
  return record.state .. ((record.told and 1 or 0) + (record.exposed and 2 or 0)) .. record.amount .. record.decimals
    .. fixed(record.expires) .. record.committed .. fixed(record.committed_at) .. fixed(record.posted)
    .. string.format('%04d%04d%04d%04d', #decision, #reason, #account, #asked)
    .. decision .. reason .. account .. asked .. record.asset
end

local function tombstone()
  return {
    state = 't', amount = NOTHING, decimals = '00', expires = 0, committed = NOTHING, committed_at = 0,
    posted = 0, decision = '', reason = '', account = '', written = '', asset = '',
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
  sums.held, sums.holds = add(sums.held, record.amount), sums.holds + 1
  wallet.expiry, wallet.dirty = math.min(wallet.expiry or record.expires, record.expires), true
  redis.call('ZADD', keys[2], whole(record.expires), member_of_held(record, id))
  list(keys, wallet, account, record.expires)
end

-- Its amount is given back or becomes a debit.
local function take_out(keys, wallet, record, id)
  local sums = wallet.sums[wallet.asset]
  sums.held, sums.holds = sub(sums.held, record.amount), sums.holds - 1
  wallet.expiry_moved = wallet.expiry_moved or wallet.expiry == nil or record.expires <= wallet.expiry
  redis.call('ZREM', keys[2], member_of_held(record, id))
end

-- What was given back at its deadline stays so, also where the clock was set back to before it.
local function mark_gone(keys, record, wallet, id)
  if record and record.state == 'h' and record.expires > wallet.now then
    record.gone = not redis.call('ZSCORE', keys[2], member_of_held(record, id))
  end
end

local function is_open(record, wallet)
  return record.state == 'h' and record.expires > wallet.now and not record.gone
end

-- What a record says now: time goes on, and so does what is read of its wallet.
local function stage(record, wallet)
  if record.state == 'h' and not is_open(record, wallet) then
    return 'expired'
  end
  local booked = (record.state == 'c' or record.state == 's') and record.posted > 0
  if booked and wallet.fence and record.posted + wallet.lag < wallet.fence then
    return 'covered'
  end
  return WORDS[record.state]
end
