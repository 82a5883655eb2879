/*
 * The methods of supervisord's XML-RPC interface, in the order that system.listMethods gives: name, result, parameters, how many may be
 * missing, whether it works during a shutdown, function, and a sentence for system.methodHelp.
 */
#ifndef REEVE_GATEWAY_RPC_METHODS_H
#define REEVE_GATEWAY_RPC_METHODS_H

#define RPC_METHODS(X)                                                                                                                     \
	X("supervisor.addProcessGroup", "boolean", "string name", 0, false, rpc_add_group,                                                 \
	  "Make a group of the configuration last read active, and start what is to start by itself.")                                     \
	X("supervisor.clearAllProcessLogs", "array", "", 0, false, rpc_clear_all_logs, "Empty the logs of all processes.")                 \
	X("supervisor.clearLog", "boolean", "", 0, false, rpc_clear_log, "Empty the daemon's own log.")                                    \
	X("supervisor.clearProcessLog", "boolean", "string name", 0, false, rpc_clear_process_logs, "Older name of clearProcessLogs.")     \
	X("supervisor.clearProcessLogs", "boolean", "string name", 0, false, rpc_clear_process_logs,                                       \
	  "Empty the stdout and stderr logs of a process.")                                                                                \
	X("supervisor.getAPIVersion", "string", "", 0, false, rpc_get_api_version, "The version of this interface.")                       \
	X("supervisor.getAllConfigInfo", "array", "", 0, false, rpc_get_all_config_info,                                                   \
	  "The settings of every process of the configuration last read.")                                                                 \
	X("supervisor.getAllProcessInfo", "array", "", 0, false, rpc_get_all_process_info,                                                 \
	  "What getProcessInfo tells, for every process, in lexical order.")                                                               \
	X("supervisor.getIdentification", "string", "", 0, false, rpc_get_identification, "The identifier of this daemon.")                \
	X("supervisor.getPID", "int", "", 0, false, rpc_get_pid, "The process id of the daemon.")                                          \
	X("supervisor.getProcessInfo", "struct", "string name", 0, false, rpc_get_process_info,                                            \
	  "State, times, process id and logs of a process.")                                                                               \
	X("supervisor.getState", "struct", "", 0, false, rpc_get_state, "The state of the daemon: members statecode and statename.")       \
	X("supervisor.getSupervisorVersion", "string", "", 0, false, rpc_get_supervisor_version,                                           \
	  "The version of supervisord that this daemon behaves like.")                                                                     \
	X("supervisor.getVersion", "string", "", 0, false, rpc_get_api_version, "Older name of getAPIVersion.")                            \
	X("supervisor.readLog", "string", "int offset, int length", 0, false, rpc_read_main_log,                                           \
	  "Bytes of the daemon's own log; a negative offset with length 0: the last ones.")                                                \
	X("supervisor.readMainLog", "string", "int offset, int length", 0, false, rpc_read_main_log, "Older name of readLog.")             \
	X("supervisor.readProcessLog", "string", "string name, int offset, int length", 0, false, rpc_read_stdout_log,                     \
	  "Older name of readProcessStdoutLog.")                                                                                           \
	X("supervisor.readProcessStderrLog", "string", "string name, int offset, int length", 0, false, rpc_read_stderr_log,               \
	  "Bytes of the stderr log of a process; a negative offset with length 0: the last ones.")                                         \
	X("supervisor.readProcessStdoutLog", "string", "string name, int offset, int length", 0, false, rpc_read_stdout_log,               \
	  "Bytes of the stdout log of a process; a negative offset with length 0: the last ones.")                                         \
	X("supervisor.reloadConfig", "array", "", 0, false, rpc_reload_config,                                                             \
	  "Read the configuration again, without starting or stopping anything: names of groups added, changed and removed.")              \
	X("supervisor.removeProcessGroup", "boolean", "string name", 0, false, rpc_remove_group, "Forget a group that is stopped.")        \
	X("supervisor.restart", "boolean", "", 0, false, rpc_restart, "Stop everything, read the configuration, and start again.")         \
	X("supervisor.sendProcessStdin", "boolean", "string name, string chars", 0, false, rpc_send_stdin,                                 \
	  "Write text to the stdin of a process, as UTF-8.")                                                                               \
	X("supervisor.sendRemoteCommEvent", "boolean", "string type, string data", 0, true, rpc_send_event,                                \
	  "Emit an event REMOTE_COMMUNICATION for event listeners.")                                                                       \
	X("supervisor.shutdown", "boolean", "", 0, false, rpc_shutdown, "Stop everything, then the daemon.")                               \
	X("supervisor.signalAllProcesses", "array", "string signal", 0, false, rpc_signal_all, "Send a signal to all processes.")          \
	X("supervisor.signalProcess", "boolean", "string name, string signal", 0, false, rpc_signal,                                       \
	  "Send a signal, given by name or number, to a process.")                                                                         \
	X("supervisor.signalProcessGroup", "array", "string name, string signal", 0, false, rpc_signal_group,                              \
	  "Send a signal to all processes of a group.")                                                                                    \
	X("supervisor.startAllProcesses", "array", "boolean wait", 1, false, rpc_start_all, "Start all processes that do not run.")        \
	X("supervisor.startProcess", "boolean", "string name, boolean wait", 1, false, rpc_start_process,                                  \
	  "Start a process; with wait, answer when it is RUNNING or has failed.")                                                          \
	X("supervisor.startProcessGroup", "array", "string name, boolean wait", 1, false, rpc_start_group,                                 \
	  "Start the processes of a group that do not run.")                                                                               \
	X("supervisor.stopAllProcesses", "array", "boolean wait", 1, false, rpc_stop_all, "Stop all processes that run.")                  \
	X("supervisor.stopProcess", "boolean", "string name, boolean wait", 1, false, rpc_stop_process,                                    \
	  "Stop a process; with wait, answer when it has ended.")                                                                          \
	X("supervisor.stopProcessGroup", "array", "string name, boolean wait", 1, false, rpc_stop_group,                                   \
	  "Stop the processes of a group that run.")                                                                                       \
	X("supervisor.tailProcessLog", "array", "string name, int offset, int length", 0, false, rpc_tail_stdout_log,                      \
	  "Older name of tailProcessStdoutLog.")                                                                                           \
	X("supervisor.tailProcessStderrLog", "array", "string name, int offset, int length", 0, false, rpc_tail_stderr_log,                \
	  "The last bytes of the stderr log: text, size of the log, and whether more came since offset than length.")                      \
	X("supervisor.tailProcessStdoutLog", "array", "string name, int offset, int length", 0, false, rpc_tail_stdout_log,                \
	  "The last bytes of the stdout log: text, size of the log, and whether more came since offset than length.")                      \
	X("system.listMethods", "array", "", 0, true, rpc_list_methods, "The names of all methods.")                                       \
	X("system.methodHelp", "string", "string name", 0, true, rpc_method_help, "What a method does.")                                   \
	X("system.methodSignature", "array", "string name", 0, true, rpc_method_signature,                                                 \
	  "The types of a method: its result, then its parameters.")                                                                       \
	X("system.multicall", "array", "array calls", 0, true, rpc_multicall,                                                              \
	  "Make several calls, structs of methodName and params, in order; the result of each, or a struct of faultCode and faultString.")

#include "rpc.h"

#define X(name, returns, params, optional, always, function, help) void function(struct rpc *c);
RPC_METHODS(X)
#undef X

#endif
