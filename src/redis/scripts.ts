/**
 * Owns: what happens in the engine, one script for each step. Next: redis-store.ts, which runs them.
 *
 * All about a visitor is one hash, beside a list of the times of the calls of the last minute:
 *
 *     s  the last stamp            l  the token of the lock      p  until when there is a pause, and why
 *     f  the last invalidation     u  until when it is held      x  the final answer
 *     w  the last withdrawal       k  what for                   a<question>  an answer
 *                                  m  that somebody waits
 *
 * The last argument of each is repeated in its reply: a client that has lost count of its replies must not hand over that about
 * another visitor.
 *
 * An answer is `<version> <stamp> <stored at> <ttl> <text>`. Times are those of the engine, in milliseconds.
 */
import { MAX_QUESTIONS, MAX_TEXT_LENGTH, WIRE_VERSION } from '../shared-tier/shared-store';

/** Room for what stands before the text, and for two bytes a character. */
const MAX_VALUE_BYTES = 2 * MAX_TEXT_LENGTH + 64;

const PRELUDE = `
local key = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function number(value)
  local given = tonumber(value or nil)
  return given and given >= 0 and given < 1e15 and given or 0
end
local function text(value) return string.format('%.0f', value) end
local function header(value)
  if not value or #value > ${MAX_VALUE_BYTES} then return nil end
  local stamp, at, ttl = string.match(value, '^VERSION (%d+) (%d+) (%d+) ')
  if not ttl or tonumber(stamp) > now + 60000 or tonumber(at) > now + 1000 then return nil end
  return tonumber(stamp), tonumber(at), tonumber(ttl)
end
local function isFresh(value)
  local _, at, ttl = header(value)
  return at ~= nil and now < at + ttl
end
`;

/** Of those that write. A key of another type is somebody else's garbage. */
const WRITING = `
local kind = redis.call('TYPE', key).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end
local function keep(ms)
  if redis.call('PTTL', key) < ms then redis.call('PEXPIRE', key, text(ms)) end
end
local function answers()
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, 1) == 'a' then found[#found + 1] = field end
  end
  return found
end
local function nextStamp() return math.max(now, number(redis.call('HGET', key, 's')) + 1) end
`;

const READ = `
if redis.call('TYPE', key).ok ~= 'hash' then return { text(now), '0', '0', false, false } end
local found = redis.call('HMGET', key, 'f', 'k', 'u')
local event = 0
if found[2] == 'event' then event = math.max(0, number(found[3]) - now) end
local function value(field)
  if redis.call('HSTRLEN', key, field) > ${MAX_VALUE_BYTES} then return false end
  return redis.call('HGET', key, field)
end
return { text(now), text(number(found[1])), text(event), value('a' .. ARGV[1]), value('x') }
`;

const TAKE = `
local token, lock, what, question = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local ago, limit, channel, message = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7], ARGV[8]
local calls = redis.call('TYPE', KEYS[2]).ok
if calls ~= 'list' and calls ~= 'none' then redis.call('DEL', KEYS[2]) end
local found = redis.call('HMGET', key, 'w', 'l', 'u', 'k', 'p', 'x')
local held = found[2] and number(found[3]) > now
local isOwn = held and found[2] == token
local function busy()
  redis.call('HSET', key, 'm', '1')
  return { 'held', text(number(found[3]) - now) }
end
if what ~= 'opt-out' and not isOwn then
  if found[1] and now - ago <= number(found[1]) then return { 'withdrawn' } end
  if held and found[4] == 'event' then return busy() end
  if isFresh(found[6]) then return { 'answered', text(now), found[6], 'x' } end
  if what == 'lookup' then
    local answer = redis.call('HGET', key, 'a' .. question)
    if isFresh(answer) then return { 'answered', text(now), answer, 'a' } end
  end
  local till, reason = string.match(found[5] or '', '^(%d+) ([%w-]+)$')
  if number(till) > now then return { 'paused', text(number(till) - now), reason } end
  local first = redis.call('LINDEX', KEYS[2], text(-limit))
  if first and number(first) + 60000 > now then return { 'limited', text(number(first) + 60000 - now) } end
end
if held and not isOwn then return busy() end
local stamp = nextStamp()
redis.call('HSET', key, 's', text(stamp), 'l', token, 'u', text(stamp + lock), 'k', what)
if not isOwn then
  redis.call('HDEL', key, 'm')
  redis.call('RPUSH', KEYS[2], text(now))
  redis.call('LTRIM', KEYS[2], text(-limit), '-1')
  redis.call('PEXPIRE', KEYS[2], '60000')
end
keep(2 * lock)
if message ~= '' then redis.call('PUBLISH', channel, message .. ' ' .. text(stamp)) end
return { 'taken', text(stamp) }
`;

const END = `
local token, stamp, lock = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local field, value, ttl, keepMs = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local pause, reason, channel, message, isNews = tonumber(ARGV[8]), ARGV[9], ARGV[10], ARGV[11], ARGV[12] == '1'
local found = redis.call('HMGET', key, 'f', 'l', 'm')
local outcome = 'nothing'
if field ~= '' then
  local present = header(redis.call('HGET', key, field))
  local isFinal = field == 'x'
  local isInvalidated = found[1] and not isFinal and stamp <= number(found[1])
  if now >= stamp + lock or isInvalidated or (present and present > stamp) then
    outcome = 'outdated'
  else
    outcome = 'stored'
    if isFinal then
      for _, each in ipairs(answers()) do redis.call('HDEL', key, each) end
    else
      redis.call('HDEL', key, 'x')
    end
    redis.call('HSET', key, field, 'VERSION ' .. text(stamp) .. ' ' .. text(now) .. ' ' .. ttl .. ' ' .. value)
    local all = answers()
    if #all > ${MAX_QUESTIONS} then
      local oldest, oldestStamp
      for _, each in ipairs(all) do
        local itsStamp = header(redis.call('HGET', key, each)) or 0
        if each ~= field and (not oldest or itsStamp < oldestStamp) then oldest, oldestStamp = each, itsStamp end
      end
      redis.call('HDEL', key, oldest)
    end
    keep(keepMs)
  end
end
local isOwn = found[2] == token
if isOwn then
  redis.call('HDEL', key, 'l', 'u', 'k', 'm', 'p')
  if pause > 0 then
    redis.call('HSET', key, 'p', text(now + pause) .. ' ' .. reason)
    keep(pause)
  end
end
if (isOwn and found[3]) or (isNews and outcome == 'stored') then
  redis.call('PUBLISH', channel, message .. ' ' .. text(stamp))
end
return outcome
`;

const INVALIDATE = `
local isWithdrawal, isCertain, keepMs, channel, message = ARGV[1] == '1', ARGV[2] == '1', tonumber(ARGV[3]), ARGV[4], ARGV[5]
local all = answers()
local found = redis.call('HMGET', key, 'l', 'u')
local isKnown = #all > 0 or (found[1] and number(found[2]) > now)
if not isKnown and not isCertain and redis.call('EXISTS', key) == 0 then return 0 end
local stamp = nextStamp()
redis.call('HSET', key, 's', text(stamp), 'f', text(stamp))
if isWithdrawal then redis.call('HSET', key, 'w', text(stamp)) end
for _, each in ipairs(all) do redis.call('HDEL', key, each) end
keep(keepMs)
if not isKnown and not isCertain then return 0 end
redis.call('PUBLISH', channel, message .. ' ' .. text(stamp))
return 1
`;

const REFILL = `
local field, value, ttl, at, keepMs, lock = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local found = redis.call('HMGET', key, 'f', 'x', field)
-- What made it out of date may be forgotten by then.
if now >= at + keepMs then return 0 end
if found[1] and at - lock <= number(found[1]) then return 0 end
if header(found[2]) then return 0 end
local _, present = header(found[3])
if present and present >= at then return 0 end
if not present and field ~= 'x' and #answers() >= ${MAX_QUESTIONS} then return 0 end
redis.call('HSET', key, field, 'VERSION ' .. text(at) .. ' ' .. text(at) .. ' ' .. ttl .. ' ' .. value)
keep(at + keepMs - now)
return 1
`;

/** Only what is missing is written: where memory is short, the rest goes on. */
const BEAT = `
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'string' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local name = redis.call('GET', KEYS[1])
if not name then
  name = ARGV[1]
  redis.pcall('SET', KEYS[1], name)
end
redis.call('PEXPIRE', KEYS[1], '86400000')
redis.call('PUBLISH', ARGV[2], ARGV[3] .. ' ' .. name)
return name
`;

export type ScriptName = 'read' | 'take' | 'end' | 'invalidate' | 'refill' | 'beat';

/** The source of each script. @param version as {@link WIRE_VERSION} */
export function scriptsOf(version: string = WIRE_VERSION): Readonly<Record<ScriptName, string>> {
  const whole = (...parts: string[]) => {
    const body = parts.join('').replaceAll('VERSION', version).trim();
    return `local function run()\n${body}\nend\nreturn { ARGV[#ARGV], run() }`;
  };
  return {
    read: whole(PRELUDE, READ),
    take: whole(PRELUDE, WRITING, TAKE),
    end: whole(PRELUDE, WRITING, END),
    invalidate: whole(PRELUDE, WRITING, INVALIDATE),
    refill: whole(PRELUDE, WRITING, REFILL),
    beat: whole(BEAT),
  };
}
