/*
 * What happens in Redis as one step. The keys of a queue with the stream S:
 *   S               the tasks, one entry each: words, and where they differ from the default priority, retries, timeout, bare;
 *                   from (who submitted), job (1: a map waits for it), key (of --unique)
 *   S:result:ID     how a task ended, until it is fetched or its time is over
 *   S:claimed       hash: tasks of claim=yes that have begun, with owner, from, job, key
 *   S:unique:KEY    the unfinished task with this key
 *   S:pool:NAME     exists while the pool NAME is alive
 *   S:poison        a stream of tasks that were given up because pools died with them
 *   S:done:NAME     channel: results of what NAME has submitted
 */
#ifndef REEVE_POOL_REDIS_SCRIPTS_H
#define REEVE_POOL_REDIS_SCRIPTS_H

#define SCRIPTS(X)                                                                                                     \
	/* keys: S, result, claimed, unique; argv: group, entry, result, ttl, channel, head of the message, words of a     \
	   poisoned task or "". Only the first acknowledgement writes the result. */                                      \
	X(FINISH, "local first = redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])\n"                                      \
		  "if first == 0 then first = redis.call('HDEL', KEYS[3], ARGV[2]) end\n"                              \
		  "if first == 1 then\n"                                                                               \
		  " redis.call('XDEL', KEYS[1], ARGV[2])\n"                                                            \
		  " redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])\n"                                              \
		  " redis.call('DEL', KEYS[4])\n"                                                                      \
		  " if ARGV[7] ~= '' then redis.call('XADD', KEYS[1] .. ':poison', 'MAXLEN', '~', 1000, '*', 'task', ARGV[2], 'words', ARGV[7]) end\n" \
		  " redis.call('PUBLISH', ARGV[5], ARGV[6] .. ARGV[3])\n"                                              \
		  "end\n"                                                                                              \
		  "return first\n")                                                                                    \
	/* keys: S, unique, result; argv: ttl, then the entry's fields. 1 and the new id, or 0 and the old one. */     \
	X(SUBMIT_UNIQUE, "local old = redis.call('GET', KEYS[2])\n"                                                    \
			 "if old then return {0, old} end\n"                                                           \
			 "local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV))\n"                                 \
			 "redis.call('SET', KEYS[2], id)\n"                                                            \
			 "return {1, id}\n")                                                                           \
	/* keys: S, claimed; argv: group, entry, value. The task is ours and will not be given to anybody again. */    \
	X(CLAIM, "if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 1 then\n"                                        \
		 " redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])\n"                                                    \
		 " redis.call('XDEL', KEYS[1], ARGV[2])\n"                                                             \
		 " return 1\n"                                                                                         \
		 "end\n"                                                                                               \
		 "return redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[3] and 1 or 0\n")                                \
	/* keys: S, result; argv: group, entry, result, ttl, id. Only what nobody has been given, or what was handed back (idle   \
	   for a day). The entry says who waits for it. */                                                             \
	X(CANCEL, "local e = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])\n"                                        \
		  "local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1)\n"                          \
		  "if not e[1] or p[1] and p[1][3] < 86400000 then return 0 end\n"                                     \
		  "local f = {}\n"                                                                                     \
		  "for i = 1, #e[1][2], 2 do f[e[1][2][i]] = e[1][2][i + 1] end\n"                                     \
		  "redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])\n"                                                    \
		  "redis.call('XDEL', KEYS[1], ARGV[2])\n"                                                             \
		  "redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])\n"                                               \
		  "if f.key then redis.call('DEL', KEYS[1] .. ':unique:' .. f.key) end\n"                              \
		  "if f.from then redis.call('PUBLISH', KEYS[1] .. ':done:' .. f.from, ARGV[5] .. ' ' .. (f.job or '0') .. '\\n' .. ARGV[3]) end\n" \
		  "return 1\n")                                                                                        \
	/* keys: S, result, claimed; argv: entry. The result, or the entry's fields, or 1: it runs, or nothing. */     \
	X(LOOKUP, "local r = redis.call('GET', KEYS[2])\n"                                                             \
		  "if r then return r end\n"                                                                           \
		  "local e = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])\n"                                        \
		  "if e[1] then return e[1][2] end\n"                                                                  \
		  "return redis.call('HEXISTS', KEYS[3], ARGV[1])\n")                                                  \
	/* keys: S; argv: group, me, entries. We are alive and still have these. */                                    \
	X(HEARTBEAT, "for i = 3, #ARGV do\n"                                                                           \
		     " local p = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)\n"                      \
		     " if p[1] and p[1][2] == ARGV[2] then redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID') end\n" \
		     "end\n"                                                                                           \
		     "return 1\n")                                                                                     \
	/* keys: S; argv: group, me, idle ms, count. Entries of dead pools, with the number of deliveries. */          \
	X(TAKEOVER, "local out, at, left = {}, '0-0', tonumber(ARGV[4])\n"                                             \
		    "for _ = 1, 100 do\n"                                                                              \
		    " local r = redis.call('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], at, 'COUNT', left)\n"     \
		    " for _, e in ipairs(r[2]) do\n"                                                                   \
		    "  if e and e[2] then\n"                                                                           \
		    "   local p = redis.call('XPENDING', KEYS[1], ARGV[1], e[1], e[1], 1)\n"                           \
		    "   out[#out + 1] = {e[1], e[2], p[1] and p[1][4] or 1}\n"                                         \
		    "   left = left - 1\n"                                                                             \
		    "  end\n"                                                                                          \
		    " end\n"                                                                                           \
		    " at = r[1]\n"                                                                                     \
		    " if left <= 0 or at == '0-0' then break end\n"                                                    \
		    "end\n"                                                                                            \
		    "for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do\n"                      \
		    " if c[2] ~= ARGV[2] and c[4] == 0 and c[6] > 100 * ARGV[3] then\n"                                \
		    "  redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c[2])\n"                                  \
		    " end\n"                                                                                           \
		    "end\n"                                                                                            \
		    "return out\n")                                                                                    \
	/* keys: S, claimed; claimed tasks whose owners are dead: entry, value, entry, value ... */                    \
	X(ABANDONED, "local out = {}\n"                                                                                \
		     "local all = redis.call('HGETALL', KEYS[2])\n"                                                    \
		     "for i = 1, #all, 2 do\n"                                                                         \
		     " local owner = string.match(all[i + 1], '^[^\\n]*')\n"                                           \
		     " if redis.call('EXISTS', KEYS[1] .. ':pool:' .. owner) == 0 then\n"                              \
		     "  out[#out + 1] = all[i]\n"                                                                      \
		     "  out[#out + 1] = all[i + 1]\n"                                                                  \
		     " end\n"                                                                                          \
		     "end\n"                                                                                           \
		     "return out\n")

#endif
