-- Wallets: the money of an account as the guard counts it. Everything in the account's partition.
--
-- KEYS of every call  wallets, held, debits, tending, guard; with a hold its record; then, where the caller remembers
--                     one, the record of its newest own hold
-- ARGV of every call  now, life of the server or '', when it may last have lost all it had,
--                     version of the wallet that the caller remembers or '', mark of the partition that it remembers
--                     or 0, terms: how long a quarantine lasts 16, how far the provider's reads trail its writes 16,
--                     most open holds 6, 'deny' or 'subtract'
-- Every reply begins with version 16, mark 16, now 16. One text is cheaper to make and to read than a list is.
--
-- Times and counts are kept as texts of one width, which compare as their numbers do: to make a number of a text, and a
-- text of a number, costs as much as to read it from the store.
--
-- A version is the time of its write, or one more than the last: a wallet that is forgotten and comes back is newer
-- than all that anybody remembers. `v` is the version 16, when the next hold expires 16, when the janitor looks 16;
-- `at` is when the newest reading began 16, and whose money was read. Of an asset, `f:` is what was read: fence 16,
-- token 16, decimals 2, '1' if anything is locked, what of that `available` contains 45, `available` 45; and `s:` the
-- sums: held 45, unsettled 45, open holds 6, up to when debits have been looked at 16.
--
-- Of a partition, `guard` is the mark of the last quarantine or of its first use 16, that of its first use 16, until
-- when it lasts 16, the mark of the last one for a clock that was set forward 16, and the life of the server that it
-- last vouched for. The marks are zero as long as nobody has bet there.

-- Expired holds given back, and covered debits struck off, in one call; and how many holds where a bet would else be
-- refused, or where nobody waits.
local EXPIRED_MAX, COVERED_MAX, REFUSED_MAX = 16, 256, 1024

local NEVER, LATER = '0000000000000000', '9999999999999999'

local function fixed(us)
  return string.format(FIXED, us)
end

local function clock_text(given)
  if given ~= '' then
    return given
  end
  local time = redis.call('TIME')
  return time[1] .. ('00000' .. time[2]):sub(-6)
end

local function summed(text)
  text = text or NOTHING .. NOTHING .. '000000' .. NEVER
  return {held = text:sub(1, 45), unsettled = text:sub(46, 90), holds = text:sub(91, 96), bound = text:sub(97, 112)}
end

local function packed(sums)
  return sums.held .. sums.unsettled .. sums.holds .. sums.bound
end

-- So many more holds are open, or less.
local function count(sums, more)
  sums.holds = string.format('%06d', sums.holds + more)
end

-- What is held and what is unsettled, with what is under the name before.
local function promised(wallet)
  local sums, before = wallet.sums[wallet.asset], wallet.before and wallet.sums[wallet.before]
  if before then
    return add(sums.held, before.held), add(sums.unsettled, before.unsettled)
  end
  return sums.held, sums.unsettled
end

-- From now on the wallet is that of this asset.
local function open_asset(wallet, asset, fed, sums)
  wallet.asset, wallet.fed = asset, fed
  wallet.sums[asset] = wallet.sums[asset] or summed(sums)
  wallet.fence = fed and tonumber(fed:sub(1, 16))
end

-- Whether a pushed lock binds: '0' for ever, else until then.
local function binds(until_us, now)
  return until_us and (until_us == '0' or tonumber(until_us) > now)
end

-- How far the provider's reads trail its writes.
local function lag(wallet)
  return tonumber(wallet.terms:sub(17, 32))
end

-- Holds may have been lost, or the clock was set forward: no new ones for so long, under a mark that is newer than this
-- one. Returns what is known of the partition from now on.
local function confine(guard, text, now, mark, length, set_forward)
  local bound, newer = math.max(tonumber(text:sub(33, 48)), now + length), fixed(math.max(now, mark + 1))
  text = newer .. text:sub(17, 32) .. fixed(bound) .. (set_forward and newer or text:sub(49, 64)) .. text:sub(65)
  redis.call('SET', guard, text)
  return text
end

-- Whether the life of the server is another one than is known, and whether holds may have been lost by that.
local function reborn(known, args, now)
  -- A run of a server is the same one, whatever is known of it besides.
  if args[2] == '' or known == args[2] or known:sub(1, #args[2] + 1) == args[2] .. '-' then
    return false, false
  end
  -- What is not known was never there, or is among what was lost.
  return true, known ~= '' or tonumber(args[3]) + tonumber(args[6]:sub(1, 16)) > now
end

-- What is known of a partition from now on, if that is not just what the caller remembers: see `vouch`.
local function doubt(guard, text, newest, args, wallet)
  local before, another, cost = text, reborn(text:sub(65), args, wallet.now)
  local mark, remembered = tonumber(text:sub(1, 16)), tonumber(args[5])
  local lost = mark < remembered or (remembered > 0 and mark > remembered and text:sub(1, 16) == text:sub(17, 32))
  if another then
    lost, text = lost or cost, text:sub(1, 64) .. args[2]
  end
  if not lost and mark == remembered then
    lost = wallet.version < args[4] or newest == false
  end
  if lost then
    return confine(guard, text, wallet.now, math.max(mark, remembered), tonumber(args[6]:sub(1, 16)))
  end
  if mark == 0 then
    text = wallet.now_text .. wallet.now_text .. text:sub(33)
  end
  if text ~= before then
    redis.call('SET', guard, text)
  end
  return text
end

-- Whether holds may have been lost: the server's life is another one, or less is known than the caller remembers. Then
-- the whole partition is quarantined, under a new mark. What was remembered under an older mark proves nothing new,
-- unless nobody has noticed any loss: then the partition began anew since. `guard` is the partition's key and `text`
-- what is there, `newest` the hold which must be there; `wallet` knows the time and its version, and is told the
-- quarantine and the mark. Returns what is there from now on.
local function vouch(guard, text, newest, args, wallet)
  text = text or NEVER:rep(4)
  local same = text:sub(1, 16) == args[5] and text:sub(65) == args[2]
  if not same or wallet.version < args[4] or newest == false then
    text = doubt(guard, text, newest, args, wallet)
  end
  wallet.mark, wallet.bound = text:sub(1, 16), text:sub(33, 48)
  return text
end

-- What is known beside the wallet, in one call: of its partition, of the hold, of the caller's newest one.
local function beside(keys)
  return redis.call('MGET', unpack(keys, 5))
end

-- Where nothing was swept.
local NONE = {}

-- The wallet of an asset. Where `bare` it may be named without its network, and `names` is set where that is more than
-- one; else it is of this very name, also where its network was told since. `known` is what is known beside it.
-- `whose` money a decision is about: where the account stood for other money, nothing is known of it until that is
-- read.
local function wallet_of(keys, args, known, asset, bare, whose)
  local base, got = asset:match('^(.-)@'), nil
  if base then
    got = redis.call(
      'HMGET', keys[1], 'v', 'at', 'f:' .. asset, 's:' .. asset, 'l:' .. asset, 'b:' .. asset, 'l:' .. base,
      's:' .. base, 'f:' .. base
    )
  else
    got = redis.call('HMGET', keys[1], 'v', 'at', 'f:' .. asset, 's:' .. asset, 'l:' .. asset, 'b:' .. asset)
  end
  local now_text, version = clock_text(args[1]), got[1] or NEVER .. LATER .. LATER
  local now = tonumber(now_text)
  -- What is mostly not so is not said: room is made for sixteen fields, and twice that would cost as much again.
  local wallet = {
    now = now, now_text = now_text, terms = args[6], version = version:sub(1, 16), expiry = version:sub(17, 32),
    listed = version:sub(33, 48), read = got[2], swept = NONE, sums = {}, asset = asset, fed = false,
    fence = false, bound = NEVER, mark = NEVER,
    -- What is locked without its network is locked on all of them.
    locked = binds(got[5], now) or binds(got[7], now),
  }
  open_asset(wallet, asset, got[3], got[4])
  local several = got[6] and got[6]:find('\n', 1, true)
  if bare and several and not got[3] then
    wallet.names = got[6]
  elseif got[6] and not several and not got[3] then
    local more = redis.call('HMGET', keys[1], 'f:' .. got[6], 's:' .. got[6], 'l:' .. got[6])
    wallet.locked = wallet.locked or binds(more[3], now)
    if bare then
      open_asset(wallet, got[6], more[1], more[2])
    else
      -- Whoever reads that name reads the same money.
      open_asset(wallet, asset, more[1], got[4])
    end
  end
  -- What it was called before its network was told: what is held and owed under that name is of the same money.
  if whose and wallet.asset ~= asset and got[4] then
    wallet.before = asset
  elseif whose and wallet.fed and got[8] and not got[9] then
    wallet.before, wallet.sums[base] = base, summed(got[8])
  end
  if whose and whose ~= '' and wallet.read and #wallet.read > 16 and wallet.read:sub(17) ~= whose then
    wallet.read, wallet.fed, wallet.fence, wallet.names = false, false, false, false
  end
  vouch(keys[5], known[1], known[3], args, wallet)
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

-- Give back what has expired, of any asset, so many of all. A member of `held` is amount 45, id, space, asset: only
-- what is held is in there. When the next one expires is looked up when all is saved; until then it is NEVER.
local function sweep(keys, wallet, most)
  if wallet.expiry > wallet.now_text then
    return
  end
  local found = redis.call('ZRANGEBYSCORE', keys[2], '-inf', wallet.now_text, 'LIMIT', 0, most)
  for i = #wallet.swept + 1, #found do
    local sums = sums_of(keys, wallet, asset_of(found[i]))
    sums.held = sub(sums.held, found[i]:sub(1, 45))
    count(sums, -1)
  end
  wallet.swept, wallet.dirty, wallet.expiry = found, true, NEVER
end

-- Strike off the debits that a reading which began late enough contains. A member of `debits` is when it was committed
-- 16, amount 45, id, space, asset.
local function cover(keys, wallet, name)
  local asset = name or wallet.asset
  local sums = wallet.sums[asset]
  if not wallet.fed or sums.unsettled == NOTHING then
    return
  end
  local before = wallet.fence - lag(wallet)
  if before <= tonumber(sums.bound) then
    return
  end
  local found = redis.call(
    'ZRANGEBYSCORE', keys[3], sums.bound, '(' .. whole(before), 'WITHSCORES', 'LIMIT', 0, COVERED_MAX
  )
  local struck = wallet.struck or {}
  for i = 1, #found, 2 do
    local member = found[i]
    if asset_of(member) == asset then
      sums.unsettled = sub(sums.unsettled, member:sub(17, 61))
      struck[#struck + 1] = member
    end
  end
  sums.bound = fixed(#found < 2 * COVERED_MAX and before or tonumber(found[#found]))
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
  if at < wallet.listed then
    redis.call('ZADD', keys[4], at, account)
    wallet.listed = at
  end
end

local function version_text(wallet)
  return wallet.version .. wallet.expiry .. wallet.listed
end

-- Write what has changed; every sum was made before, so that nothing fails half-way.
local function save(keys, wallet)
  if #wallet.swept > 0 then
    redis.call('ZREM', keys[2], unpack(wallet.swept))
  end
  if wallet.struck and #wallet.struck > 0 then
    redis.call('ZREM', keys[3], unpack(wallet.struck))
  end
  if wallet.expiry == NEVER then
    local earliest_us = first(keys[2])
    wallet.expiry = earliest_us and fixed(earliest_us) or LATER
  end
  wallet.version = wallet.version < wallet.now_text and wallet.now_text or fixed(wallet.version + 1)
  for asset, sums in pairs(wallet.sums) do
    redis.call('HSET', keys[1], 'v', version_text(wallet), 's:' .. asset, packed(sums))
  end
end

-- How every reply begins.
local function head(wallet)
  return wallet.version .. wallet.mark .. wallet.now_text
end

-- New holds wait for a reading that began after the quarantine.
local function quarantined(wallet)
  return wallet.bound > NEVER
    and (wallet.now_text < wallet.bound or not wallet.fence or wallet.fence <= tonumber(wallet.bound))
end
