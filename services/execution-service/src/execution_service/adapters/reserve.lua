-- Hands out evenly spaced slots of one Telegram bot. Times are microseconds of this server's clock.
--
-- KEYS[1]  the first slot that is still free
-- KEYS[2]  until when the bot must be silent
-- ARGV     spacing, wanted, most, enough, horizon, lead, empty start, time to live (ms)
-- Answer   {granted, first slot, now} or {0, microseconds to wait, now}
--
-- Slots are given no further ahead than the horizon, so a crash wastes little, and never closer than
-- `lead`, so that the caller can store its intent in time. Unused slots are not saved up. A bot without a
-- memory (first use, or an emptied server) starts one `empty start` later: what was handed out before is
-- over by then. A caller waits until `enough` slots are free, then takes `most` of them: with the same
-- `enough` for all, callers share in proportion to their `most`.
local spacing, wanted, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local enough, horizon, lead = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local function whole(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local silent = tonumber(redis.call('GET', KEYS[2]) or '0')
if silent > now then
  return {0, silent - now, now}
end

local free = tonumber(redis.call('GET', KEYS[1]) or '-1')
if free < 0 then
  free = now + tonumber(ARGV[7])
  redis.call('SET', KEYS[1], whole(free), 'PX', ARGV[8])
end

local first = math.max(free, now + lead)
local last = now + horizon
local room = 0
if first <= last then
  room = math.floor((last - first) / spacing) + 1
end
local needed = math.min(wanted, enough)
if room < needed then
  return {0, math.max(1000, first + (needed - 1) * spacing - last), now}
end
local granted = math.min(wanted, most, room)
redis.call('SET', KEYS[1], whole(first + granted * spacing), 'PX', ARGV[8])
return {granted, first, now}
