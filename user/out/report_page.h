/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page around the data, made of user/out/html/ when building.  Internal to
 * out/.
 */
#ifndef PORTLIFE_OUT_REPORT_PAGE_H
#define PORTLIFE_OUT_REPORT_PAGE_H

extern const char report_page_head[], report_page_tail[];

#endif
