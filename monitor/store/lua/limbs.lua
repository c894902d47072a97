-- Exact amounts. Lua knows only doubles, so an amount is a text of 45 digits in three limbs of 10^15: a limb, a sum of
-- a few and a carry stay below 2^53. Texts of one width compare as their numbers do.

local BASE = 1e15
local NOTHING = '000000000000000000000000000000000000000000000'
local MOST = '999999999999999999999999999999999999999999999'

-- `%d` takes half as long as `%.0f`, but has no room for such numbers on a server of 32 bits.
local WHOLE = ('%d'):format(BASE - 1) == '999999999999999' and 'd' or '.0f'
local LIMBS, FIXED = ('%015' .. WHOLE):rep(3), '%016' .. WHOLE

local function limbs(text)
  return tonumber(text:sub(1, 15)), tonumber(text:sub(16, 30)), tonumber(text:sub(31, 45))
end

-- The sum of amounts as limbs; the first one may be more than a limb holds.
local function total(amounts)
  local a, b, c = 0, 0, 0
  for i = 1, #amounts do
    -- Mostly nothing is unsettled, and nothing locked.
    if amounts[i] ~= NOTHING then
      local high, middle, low = limbs(amounts[i])
      a, b, c = a + high, b + middle, c + low
    end
  end
  local carry = math.floor(c / BASE)
  b, c = b + carry, c - carry * BASE
  carry = math.floor(b / BASE)
  return a + carry, b - carry * BASE, c
end

-- Whether these together are more than there is. Sums are compared, nothing is subtracted: less may have been seen
-- than is promised already.
local function exceeds(there, amounts)
  local a, b, c = total(amounts)
  local x, y, z = limbs(there)
  if a ~= x then
    return a > x
  end
  if b ~= y then
    return b > y
  end
  return c > z
end

-- What is beyond the most that there can be counts as that: it only refuses more.
local function add(x, y)
  local a, b, c = total({x, y})
  return a < BASE and string.format(LIMBS, a, b, c) or MOST
end

-- x must not be less than y.
local function sub(x, y)
  if x < y then
    error('more is given back than is held')
  end
  local a, b, c = limbs(x)
  local d, e, f = limbs(y)
  a, b, c = a - d, b - e, c - f
  if c < 0 then
    b, c = b - 1, c + BASE
  end
  if b < 0 then
    a, b = a - 1, b + BASE
  end
  return string.format(LIMBS, a, b, c)
end
