/* SPDX-License-Identifier: Apache-2.0 */
/* xsk: finds the socket of an AF_XDP device. DPDK 22.11 does not tell its descriptor: the driver
 * has no receive interrupts (rte_eth_dev_rx_intr_ctl_q_get_fd).
 *
 * A device with one queue has exactly one AF_XDP socket, and the table writer opens devices one
 * after the other. So the socket of the device that was opened last is the process's only AF_XDP
 * socket that is not known yet.
 *
 * Owns      Nothing: the sockets are the driver's, which closes them with the device.
 * Threads   The table writer.
 */
#ifndef MILLRACE_PORT_XSK_H
#define MILLRACE_PORT_XSK_H

/* Returns the process's new AF_XDP socket, which is known from then on. -1: there is none, there
 * are several, or /proc cannot be read. */
int mr_xsk_take(void);
/* Forgets a socket that is to be closed; -1 is ignored. */
void mr_xsk_forget(int fd);

#endif
