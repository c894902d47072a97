-- Locks that others push: no new holds, while everything that is held goes on.
--
-- `k:` asset, line feed, source is until when that source locks it, '0' for ever; `l:` asset is the longest of these.

-- Locks of one asset. Each is somebody's word, so none is dropped to make room.
local LOCKS_MAX = 100

-- The locks that bind, as (source, until) flat; what is over is forgotten. Writes the longest.
local function survey(keys, asset, now)
  local prefix, found, longest = 'k:' .. asset .. '\n', {}, nil
  local all = redis.call('HGETALL', keys[1])
  for i = 1, #all, 2 do
    if all[i]:sub(1, #prefix) == prefix then
      local ends = all[i + 1]
      if binds(ends, now) then
        found[#found + 1] = all[i]:sub(#prefix + 1)
        found[#found + 1] = ends
        longest = (longest == '0' or ends == '0') and '0' or whole(math.max(tonumber(longest or '0'), tonumber(ends)))
      else
        redis.call('HDEL', keys[1], all[i])
      end
    end
  end
  if longest then
    redis.call('HSET', keys[1], 'l:' .. asset, longest)
  else
    redis.call('HDEL', keys[1], 'l:' .. asset)
  end
  return found
end

-- KEYS  as for every call on a wallet, left
-- ARGV  as for every call on a wallet, then asset, source, until or '0', account
-- Returns '1', '0' if too many lock it already.
local function lock(keys, args)
  local wallet = wallet_of(keys, args, beside(keys), args[7])
  local field = 'k:' .. args[7] .. '\n' .. args[8]
  if redis.call('HEXISTS', keys[1], field) == 0 and #survey(keys, args[7], wallet.now) >= 2 * LOCKS_MAX then
    return head(wallet) .. '0'
  end
  redis.call('HSET', keys[1], field, args[9])
  if not wallet.read then
    -- Nobody has read such an account: it may never come, and then somebody has to forget this.
    redis.call('ZADD', keys[6], 'NX', whole(wallet.now), args[10])
  end
  survey(keys, args[7], wallet.now)
  save(keys, wallet)
  return head(wallet) .. '1'
end

-- ARGV  as for every call on a wallet, then asset, source
-- Returns '1' if it bound, else '0'.
local function unlock(keys, args)
  local wallet = wallet_of(keys, args, beside(keys), args[7])
  local field = 'k:' .. args[7] .. '\n' .. args[8]
  local bound = binds(redis.call('HGET', keys[1], field), wallet.now)
  if redis.call('HDEL', keys[1], field) == 1 then
    survey(keys, args[7], wallet.now)
    save(keys, wallet)
  end
  return head(wallet) .. (bound and '1' or '0')
end

-- Up to so many of a sorted set's members that are of a wallet, under either name, as (member, score) flat; and how
-- many are left out.
local function listed(key, wallet, most)
  local found, left = {}, math.max(0, redis.call('ZCARD', key) - 10 * most)
  local all = redis.call('ZRANGE', key, 0, 10 * most - 1, 'WITHSCORES')
  for i = 1, #all, 2 do
    local asset = asset_of(all[i])
    if asset == wallet.asset or asset == wallet.before then
      if #found < 2 * most then
        found[#found + 1] = all[i]
        found[#found + 1] = all[i + 1]
      else
        left = left + 1
      end
    end
  end
  return found, left
end

-- The locks that bind an asset, those on all its networks too.
local function binding(keys, asset, now)
  local found, base = survey(keys, asset, now), asset:match('^(.-)@')
  if base then
    for _, one in ipairs(survey(keys, base, now)) do
      found[#found + 1] = one
    end
  end
  return found
end

-- ARGV  as for every call on a wallet, then asset, how many holds and debits at most, whose money it is or ''
-- Returns {head, feed or '', held 45 and unsettled 45, when a quarantine may end or '', how many are left out, holds,
-- debits, locks}, the last three flat.
local function view(keys, args)
  local wallet = wallet_of(keys, args, beside(keys), args[7], false, args[9])
  tidy(keys, wallet)
  if wallet.dirty then
    save(keys, wallet)
  end
  local holds, more_holds = listed(keys[2], wallet, tonumber(args[8]))
  local debits, more_debits = listed(keys[3], wallet, tonumber(args[8]))
  local held, unsettled = promised(wallet)
  return {
    head(wallet), wallet.fed or '', held .. unsettled, quarantined(wallet) and wallet.bound or '',
    whole(more_holds + more_debits), holds, debits,
    binding(keys, wallet.asset, wallet.now),
  }
end

-- KEYS  wallets
-- ARGV  now
-- Returns {now, when the newest reading began or ''}.
local function seen(keys, args)
  return {whole(clock(args[1])), (redis.call('HGET', keys[1], 'at') or ''):sub(1, 16)}
end

redis.register_function('bm_guard_lock', lock)
redis.register_function('bm_guard_unlock', unlock)
redis.register_function('bm_guard_view', view)
redis.register_function('bm_guard_seen', seen)
