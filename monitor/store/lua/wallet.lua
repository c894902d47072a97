-- Wallets: the money of an account as the guard counts it. Everything in the account's partition.
--
-- KEYS of every call  wallets, held, debits, guard, tending; with a hold its record; then, where the caller remembers
--                     one, the record of its newest own hold
-- ARGV of every call  now, life of the server or '', '0' if a store without a life is not to be trusted,
--                     version of the wallet that the caller remembers or '', mark of the partition that it remembers
--                     or 0, how long a quarantine lasts, how far the provider's reads trail its writes
-- Every reply begins with version 16, mark 16, now 16. One text is cheaper to make and to read than a list is.
--
-- A version is the time of its write, or one more than the last: a wallet that is forgotten and comes back is newer
-- than all that anybody remembers. `w` is whose money was read. Of an asset, `f:` is what was read: fence 16, token 16,
-- decimals 2, '1' if anything is locked, what of that `available` contains 45, `available` 45; and `s:` the sums: held
-- 45, unsettled 45, open holds 6, up to when debits have been looked at 16.

-- Expired holds given back, and covered debits struck off, in one call; and how many holds where a bet would else be
-- refused.
local EXPIRED_MAX, COVERED_MAX, REFUSED_MAX = 16, 256, 1024

local NEVER = '0000000000000000'

local function fixed(us)
  return us == 0 and NEVER or string.format('%016.0f', us)
end

-- The time as text: a format costs as much as reading a field.
local function clock_text(given)
  if given ~= '' then
    return given
  end
  local time = redis.call('TIME')
  return time[1] .. ('00000' .. time[2]):sub(-6)
end

local function summed(text)
  if not text then
    return {held = NOTHING, unsettled = NOTHING, holds = 0, bound = 0}
  end
  return {
    held = text:sub(1, 45), unsettled = text:sub(46, 90), holds = tonumber(text:sub(91, 96)),
    bound = tonumber(text:sub(97, 112)),
  }
end

local function packed(sums)
  return sums.held .. sums.unsettled .. string.format('%06.0f', sums.holds) .. fixed(sums.bound)
end

-- The sums as they are stored, with those under the name before.
local function sums_text(wallet)
  local before = wallet.before and wallet.sums[wallet.before]
  if before then
    local sums = wallet.sums[wallet.asset]
    return add(sums.held, before.held) .. add(sums.unsettled, before.unsettled) .. packed(sums):sub(91)
  end
  return wallet.dirty and packed(wallet.sums[wallet.asset]) or wallet.told_sums or packed(summed(nil))
end

-- From now on the wallet is that of this asset.
local function open_asset(wallet, asset, fed, sums)
  wallet.asset, wallet.fed, wallet.told_sums = asset, fed, sums
  wallet.sums[asset] = wallet.sums[asset] or summed(sums)
  wallet.fence = fed and tonumber(fed:sub(1, 16))
end

-- Whether a pushed lock binds: '0' for ever, else until then.
local function binds(until_us, now)
  return until_us and (until_us == '0' or tonumber(until_us) > now)
end

-- Holds may have been lost: no new ones for so long, under a mark that is newer than this one.
local function confine(guard, wallet, mark, length)
  wallet.mark = math.max(wallet.now, mark + 1)
  wallet.mark_text = whole(wallet.mark)
  wallet.bound = math.max(wallet.bound, wallet.now + length)
  redis.call('HSET', guard, 'mark', wallet.mark_text, 'until', whole(wallet.bound))
end

-- Whether holds may have been lost: the server's life is another one, or less is known than the caller remembers. Then
-- the whole partition is quarantined, under a new mark. What was remembered under an older mark proves nothing new,
-- unless nobody has noticed any loss: then the partition began anew since. `guard` is the partition's key, `newest`
-- that of the hold which must be there; `wallet` knows the time and its version, and is told the quarantine and the
-- mark.
local function vouch(guard, newest, args, wallet)
  local got = redis.call('HMGET', guard, 'life', 'until', 'mark', 'born')
  local mark, remembered = tonumber(got[3] or '0'), tonumber(args[5])
  local lost = mark < remembered or (remembered > 0 and mark > remembered and got[3] == got[4])
  -- A run of a server is the same one, whatever is known of it besides.
  if args[2] ~= '' and got[1] ~= args[2] and (got[1] or ''):sub(1, #args[2] + 1) ~= args[2] .. '-' then
    lost = lost or got[1] or args[3] == '0'
    redis.call('HSET', guard, 'life', args[2])
  end
  if not lost and args[4] ~= '' and mark == remembered then
    lost = wallet.version < tonumber(args[4]) or (newest and redis.call('EXISTS', newest) == 0)
  end
  wallet.bound, wallet.mark, wallet.mark_text = tonumber(got[2] or '0'), mark, got[3] or NEVER
  if lost then
    confine(guard, wallet, math.max(mark, remembered), tonumber(args[6]))
  elseif mark == 0 then
    wallet.mark, wallet.mark_text = wallet.now, wallet.now_text
    redis.call('HSET', guard, 'mark', wallet.now_text, 'born', wallet.now_text)
  end
end

-- Where nothing was swept or struck off.
local NONE = {}

-- The wallet of an asset. Where `bare` it may be named without its network, and `names` is set where that is more than
-- one; else it is of this very name, also where its network was told since.
-- `whose` money a decision is about: where the account stood for other money, nothing is known of it until that is
-- read.
local function wallet_of(keys, args, asset, bare, whose)
  local base = asset:match('^(.-)@')
  local got = redis.call(
    'HMGET', keys[1], 'v', 'x', 'q', 'at', 'f:' .. asset, 's:' .. asset, 'l:' .. asset, 'b:' .. asset,
    base and 'l:' .. base or '', 'w', base and 's:' .. base or '', base and 'f:' .. base or ''
  )
  local now_text = clock_text(args[1])
  -- All its fields at once: a table that grows is made anew each time.
  local wallet = {
    now = tonumber(now_text), now_text = now_text, lag = tonumber(args[7]), version = tonumber(got[1] or '0'),
    version_text = got[1] or NEVER, expiry = tonumber(got[2] or ''), listed = tonumber(got[3] or ''), read = got[4],
    swept = NONE, struck = NONE, sums = {}, asset = asset, fed = false, fence = false, told_sums = false, bound = 0,
    mark = 0, mark_text = NEVER, dirty = false, expiry_moved = false, locked = false, names = false, before = false,
  }
  -- What is locked without its network is locked on all of them.
  wallet.locked = binds(got[7], wallet.now) or binds(got[9], wallet.now)
  open_asset(wallet, asset, got[5], got[6])
  local several = got[8] and got[8]:find('\n', 1, true)
  if bare and several and not got[5] then
    wallet.names = got[8]
  elseif got[8] and not several and not got[5] then
    local more = redis.call('HMGET', keys[1], 'f:' .. got[8], 's:' .. got[8], 'l:' .. got[8])
    wallet.locked = wallet.locked or binds(more[3], wallet.now)
    if bare then
      open_asset(wallet, got[8], more[1], more[2])
    else
      -- Whoever reads that name reads the same money.
      open_asset(wallet, asset, more[1], got[6])
    end
  end
  -- What it was called before its network was told: what is held and owed under that name is of the same money.
  if whose and wallet.asset ~= asset and got[6] then
    wallet.before = asset
  elseif whose and wallet.fed and got[11] and not got[12] then
    wallet.before, wallet.sums[base] = base, summed(got[11])
  end
  if whose and whose ~= '' and (got[10] or '') ~= '' and got[10] ~= whose then
    wallet.read, wallet.fed, wallet.fence, wallet.names = false, false, false, false
  end
  vouch(keys[4], keys[7], args, wallet)
  return wallet
end

-- Both sets have members that end so: id, space, asset.
local function asset_of(member)
  return member:match('^%S+ (.*)$')
end

local function sums_of(keys, wallet, asset)
  if not wallet.sums[asset] then
    wallet.sums[asset] = summed(redis.call('HGET', keys[1], 's:' .. asset))
  end
  return wallet.sums[asset]
end

-- Give back what has expired, of any asset, so many of all. A member of `held` is amount 45, id, space, asset: only what
-- is held is in there.
local function sweep(keys, wallet, most)
  if not wallet.expiry or wallet.expiry > wallet.now then
    return
  end
  local found = redis.call('ZRANGEBYSCORE', keys[2], '-inf', whole(wallet.now), 'LIMIT', 0, most)
  for i = #wallet.swept + 1, #found do
    local sums = sums_of(keys, wallet, asset_of(found[i]))
    sums.held, sums.holds = sub(sums.held, found[i]:sub(1, 45)), sums.holds - 1
  end
  wallet.swept, wallet.dirty, wallet.expiry_moved = found, true, true
end

-- Strike off the debits that a reading which began late enough contains. A member of `debits` is when it was committed
-- 16, amount 45, id, space, asset.
local function cover(keys, wallet, name)
  local asset = name or wallet.asset
  local sums = wallet.sums[asset]
  if not wallet.fed or sums.unsettled == NOTHING then
    return
  end
  local before = wallet.fence - wallet.lag
  if before <= sums.bound then
    return
  end
  local found = redis.call(
    'ZRANGEBYSCORE', keys[3], whole(sums.bound), '(' .. whole(before), 'WITHSCORES', 'LIMIT', 0, COVERED_MAX
  )
  local struck = wallet.struck ~= NONE and wallet.struck or {}
  for i = 1, #found, 2 do
    local member = found[i]
    if asset_of(member) == asset then
      sums.unsettled = sub(sums.unsettled, member:sub(17, 61))
      struck[#struck + 1] = member
    end
  end
  sums.bound = #found < 2 * COVERED_MAX and before or tonumber(found[#found])
  wallet.struck, wallet.dirty = struck, true
end

-- Take out of a wallet what is over.
local function tidy(keys, wallet)
  sweep(keys, wallet, EXPIRED_MAX)
  cover(keys, wallet)
  if wallet.before then
    cover(keys, wallet, wallet.before)
  end
end

-- The janitor looks at a wallet by then.
local function list(keys, wallet, account, at)
  if not wallet.listed or at < wallet.listed then
    redis.call('ZADD', keys[5], whole(at), account)
    wallet.listed = at
  end
end

-- Write what has changed; every sum was made before, so that nothing fails half-way.
local function save(keys, wallet)
  if #wallet.swept > 0 then
    redis.call('ZREM', keys[2], unpack(wallet.swept))
  end
  if #wallet.struck > 0 then
    redis.call('ZREM', keys[3], unpack(wallet.struck))
  end
  if wallet.expiry_moved then
    wallet.expiry = first(keys[2])
  end
  wallet.version = math.max(wallet.version + 1, wallet.now)
  wallet.version_text = wallet.version == wallet.now and wallet.now_text or whole(wallet.version)
  local fields = {
    'v', wallet.version_text, 'x', wallet.expiry and whole(wallet.expiry) or '',
    'q', wallet.listed and whole(wallet.listed) or '',
  }
  for asset, sums in pairs(wallet.sums) do
    fields[#fields + 1] = 's:' .. asset
    fields[#fields + 1] = packed(sums)
  end
  redis.call('HSET', keys[1], unpack(fields))
end

-- How every reply begins.
local function head(wallet)
  return wallet.version_text .. wallet.mark_text .. wallet.now_text
end

-- New holds wait for a reading that began after the quarantine.
local function quarantined(wallet)
  return wallet.bound > 0 and (wallet.now < wallet.bound or not wallet.fence or wallet.fence <= wallet.bound)
end
