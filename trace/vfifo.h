/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of samples/rust/rust_vfifo.rs, see
 * Documentation/misc-devices/vfifo.rst.
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfifo

#if !defined(_TRACE_VFIFO_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VFIFO_H

#include <linux/tracepoint.h>
#include <linux/types.h>

/* The numbers are those of the enums in samples/rust/rust_vfifo/trace.rs. */
#define vfifo_show_end(end)				\
	__print_symbolic(end,				\
			 { 0, "producer" },		\
			 { 1, "consumer" })

#define vfifo_show_by(by)				\
	__print_symbolic(by,				\
			 { 0, "write" },		\
			 { 1, "auto" },			\
			 { 2, "read" },			\
			 { 3, "clear" })

#define vfifo_show_whom(whom)				\
	__print_symbolic(whom,				\
			 { 0, "one" },			\
			 { 1, "all" },			\
			 { 2, "pollers" })

/* Bytes are put in or taken out. @position is that of the first byte. */
DECLARE_EVENT_CLASS(vfifo_transfer,
		    TP_PROTO(unsigned int index, u64 position, u32 bytes,
			     unsigned int by),
		    TP_ARGS(index, position, bytes, by),
		    TP_STRUCT__entry(__field(u64, position)
				     __field(u32, bytes)
				     __field(unsigned int, index)
				     __field(unsigned int, by)
		    ),
		    TP_fast_assign(__entry->position = position;
				   __entry->bytes = bytes;
				   __entry->index = index;
				   __entry->by = by;
		    ),
		    TP_printk("vfifo%u position=%llu bytes=%u by=%s",
			      __entry->index, __entry->position, __entry->bytes,
			      vfifo_show_by(__entry->by))
);

DEFINE_EVENT(vfifo_transfer, vfifo_produce,
	     TP_PROTO(unsigned int index, u64 position, u32 bytes,
		      unsigned int by),
	     TP_ARGS(index, position, bytes, by)
);

DEFINE_EVENT(vfifo_transfer, vfifo_consume,
	     TP_PROTO(unsigned int index, u64 position, u32 bytes,
		      unsigned int by),
	     TP_ARGS(index, position, bytes, by)
);

/* The task is about to sleep until @needed bytes are queued or free. */
TRACE_EVENT(vfifo_sleep,
	    TP_PROTO(unsigned int index, unsigned int end, u32 needed),
	    TP_ARGS(index, end, needed),
	    TP_STRUCT__entry(__field(unsigned int, index)
			     __field(unsigned int, end)
			     __field(u32, needed)
	    ),
	    TP_fast_assign(__entry->index = index;
			   __entry->end = end;
			   __entry->needed = needed;
	    ),
	    TP_printk("vfifo%u %s needed=%u", __entry->index,
		      vfifo_show_end(__entry->end), __entry->needed)
);

/* The task wakes one of the sleepers at @end, all of them, or the pollers. */
TRACE_EVENT(vfifo_wake,
	    TP_PROTO(unsigned int index, unsigned int end, unsigned int whom),
	    TP_ARGS(index, end, whom),
	    TP_STRUCT__entry(__field(unsigned int, index)
			     __field(unsigned int, end)
			     __field(unsigned int, whom)
	    ),
	    TP_fast_assign(__entry->index = index;
			   __entry->end = end;
			   __entry->whom = whom;
	    ),
	    TP_printk("vfifo%u %s %s", __entry->index,
		      vfifo_show_end(__entry->end),
		      vfifo_show_whom(__entry->whom))
);

/* @end is claimed or released. Its new user goes on from @position. */
DECLARE_EVENT_CLASS(vfifo_owner,
		    TP_PROTO(unsigned int index, unsigned int end, u64 position),
		    TP_ARGS(index, end, position),
		    TP_STRUCT__entry(__field(u64, position)
				     __field(unsigned int, index)
				     __field(unsigned int, end)
		    ),
		    TP_fast_assign(__entry->position = position;
				   __entry->index = index;
				   __entry->end = end;
		    ),
		    TP_printk("vfifo%u %s position=%llu", __entry->index,
			      vfifo_show_end(__entry->end), __entry->position)
);

DEFINE_EVENT(vfifo_owner, vfifo_claim,
	     TP_PROTO(unsigned int index, unsigned int end, u64 position),
	     TP_ARGS(index, end, position)
);

DEFINE_EVENT(vfifo_owner, vfifo_release,
	     TP_PROTO(unsigned int index, unsigned int end, u64 position),
	     TP_ARGS(index, end, position)
);

/*
 * The owner of an end has stored an impossible position. The arguments and the
 * fields have different names, since perf's macros have a variable "head".
 */
TRACE_EVENT(vfifo_broken,
	    TP_PROTO(unsigned int index, u64 produced, u64 consumed),
	    TP_ARGS(index, produced, consumed),
	    TP_STRUCT__entry(__field(u64, head)
			     __field(u64, tail)
			     __field(unsigned int, index)
	    ),
	    TP_fast_assign(__entry->head = produced;
			   __entry->tail = consumed;
			   __entry->index = index;
	    ),
	    TP_printk("vfifo%u head=%llu tail=%llu", __entry->index,
		      __entry->head, __entry->tail)
);

/* Safe: they only record numbers. */
DECLARE_RUST_SAFE_TRACE(vfifo_produce);
DECLARE_RUST_SAFE_TRACE(vfifo_consume);
DECLARE_RUST_SAFE_TRACE(vfifo_sleep);
DECLARE_RUST_SAFE_TRACE(vfifo_wake);
DECLARE_RUST_SAFE_TRACE(vfifo_claim);
DECLARE_RUST_SAFE_TRACE(vfifo_release);
DECLARE_RUST_SAFE_TRACE(vfifo_broken);

#endif /* _TRACE_VFIFO_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
