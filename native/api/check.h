// Argument checks of svdit_attention and svdit_sweep.
#ifndef SVDIT_API_CHECK_H
#define SVDIT_API_CHECK_H

#include "backend/backend.h"
#include "svdit.h"

namespace svdit {

// Return the arguments with their defaults filled in (scale, ranges), or throw Error
// INVALID_ARGUMENT. What an attention's text_valid points to is not looked at: on CUDA it is device
// memory.
svdit_attention_args check_attention(const svdit_plan &plan, const svdit_attention_args *args);
svdit_sweep_args check_sweep(const svdit_plan &plan, const svdit_sweep_args *args);

// Throws Error INVALID_ARGUMENT where args, which has passed check_sweep, brings too little.
void check_sweep_workspace(const svdit_plan &plan, const svdit_sweep_args &args);

}  // namespace svdit

#endif
