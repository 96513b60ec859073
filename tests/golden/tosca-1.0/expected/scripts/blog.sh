#!/bin/sh
echo blog
